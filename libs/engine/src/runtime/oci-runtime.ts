/** What differs between OCI runtimes. They all take the same bundle. */
export interface OciRuntime {
  readonly name: string;
  /**
   * `before`: the process is in its cgroup when the runtime starts, and the runtime leaves it there.
   * `itself`: the runtime joins `linux.cgroupsPath` and makes that path in hierarchies that Sandbar does not use too.
   */
  readonly joinsCgroup: 'before' | 'itself';
  /** Creates and starts the container and returns, with descriptor 3 handed on to it. */
  runArgv(container: OciContainer): readonly string[];
  /**
   * Annotations that hand the filter which a launch of `container` compiled to a later one with the same profile; undefined when the runtime
   * has no such thing. Compiling costs 2 ms of CPU time, a fifth of a launch.
   */
  compiledSeccomp(containerState: string): Promise<Readonly<Record<string, string>> | undefined>;
  /** Takes away what the runtime made besides its folder `<stateRoot>/<id>`, when every process is gone; undefined when there is no such thing. */
  deleteArgv(container: Pick<OciContainer, 'stateRoot' | 'id'>): readonly string[] | undefined;
}

export interface OciContainer {
  readonly id: string;
  readonly stateRoot: string;
  readonly bundle: string;
  readonly pidFile: string;
}
