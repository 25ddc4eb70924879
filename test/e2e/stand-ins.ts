import type { DockerCli } from '#testing';

/** Which image stands for one of Docker Hub's, and what it is given of the original's config. */
const STAND_INS: readonly (readonly [name: string, base: string, changes: readonly string[]])[] = [
  ['ubuntu:latest', 'debian:bookworm-slim', ['CMD ["/bin/bash"]']],
  ['ubuntu:14.04', 'debian:bookworm-slim', ['CMD ["/bin/bash"]']],
  ['centos:latest', 'debian:bookworm-slim', ['CMD ["/bin/bash"]']],
  ['tomcat:latest', 'busybox', ['EXPOSE 8080', 'CMD ["httpd", "-f", "-p", "8080", "-h", "/etc"]']],
  ['tomcat:7.0', 'busybox', ['EXPOSE 8080', 'CMD ["httpd", "-f", "-p", "8080", "-h", "/etc"]']],
  ['nginx:latest', 'busybox', ['EXPOSE 80', 'ENV NGINX_VERSION=1.25.0', 'CMD ["httpd", "-f", "-p", "80", "-h", "/etc"]']],
  ['ubuntu/test:latest', 'busybox', ['EXPOSE 5000', 'CMD ["httpd", "-f", "-p", "5000", "-h", "/etc"]']],
  ['training/webapp:latest', 'busybox', ['EXPOSE 5000', 'ENTRYPOINT ["sh", "-c", "exec httpd -f -p 5000 -h /etc"]']],
];

/** Gives a tenant local images of the names that the course uses: no registry is asked for them. */
export async function makeStandIns(docker: DockerCli): Promise<void> {
  for (const base of ['busybox', 'debian:bookworm-slim']) await docker.ok('pull', '-q', base);
  for (const [name, base, changes] of STAND_INS) {
    const id = await docker.ok('create', base, 'true');
    await docker.ok('commit', ...changes.flatMap((change) => ['-c', change]), id, name);
    await docker.ok('rm', id);
  }
}
