import type { DockerCli } from '#testing';

/** A program that says what it was asked for, keeps it in a file, and makes what the steps after it look for. */
const pretender = (name: string, more = ''): string => `COPY --chmod=755 <<'EOF' ${name}\n#!/bin/sh\necho "$(basename "$0") $*" | tee -a /var/log/asked-for\n${more}EOF\n`;

const NGINX = 'case "$*" in *nginx*) mkdir -p /etc/nginx; : > /etc/nginx/nginx.conf; esac\n';
/** `go build -o NAME .` of a program that prints one line. */
const GO = 'text=$(sed -n \'s/.*Println("\\(.*\\)").*/\\1/p\' main.go)\nprintf \'#!/bin/sh\\necho "%s"\\n\' "$text" > "$3"\nchmod 755 "$3"\n';

/**
 * The images that the course's Dockerfiles stand on, with the programs that would go to the network: all their other words work as they are printed.
 */
const STAND_INS: readonly (readonly [name: string, dockerfile: string])[] = [
  ['centos', `FROM debian:bookworm-slim\n${['yum', 'wget', 'rpm'].map((name) => pretender(`/usr/bin/${name}`)).join('')}CMD ["/bin/bash"]\n`],
  ['debian', `FROM debian:bookworm-slim\n${pretender('/usr/local/sbin/apt-get')}CMD ["bash"]\n`],
  ['debian:9.3', 'FROM debian:bookworm-slim\nENV DEBIAN=9.3\n'],
  ['ubuntu:xeniel', `FROM debian:bookworm-slim\n${pretender('/usr/local/sbin/apt-get', NGINX)}RUN mkdir -p /etc/apt\nCMD ["/bin/bash"]\n`],
  ['golang:1.9', `FROM debian:bookworm-slim\nENV GOPATH=/go PATH=/go/bin:/usr/local/go/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n${pretender('/usr/local/go/bin/go', GO)}WORKDIR /go\n`],
  ['alpine', `FROM busybox\nRUN mkdir -p /var/log /sbin\n${pretender('/sbin/apk')}CMD ["/bin/sh"]\n`],
];

/** Builds them for a tenant. */
export async function makeBuildStandIns(docker: DockerCli): Promise<void> {
  for (const base of ['busybox', 'debian:bookworm-slim']) await docker.ok('pull', '-q', base);
  for (const [name, dockerfile] of STAND_INS) {
    const { exitCode, stdout, stderr } = await docker.run(['build', '-t', name, '-'], { stdin: dockerfile });
    if (exitCode !== 0) throw new Error(`${name}: ${stderr}${stdout}`);
  }
}
