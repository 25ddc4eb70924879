import { execFileSync } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { DockerCli } from '#testing';
import { makeBuildStandIns } from './build-stand-ins.js';
import { TwoTenants } from './two-tenants.js';

const VOLUMES = `# volume test
FROM centos
VOLUME ["/dataVolume1","/dataVolume2"]
CMD echo "finished, ------success"
CMD /bin/bash
`;
const NGINX = (more: string): string => `#Version:0.01
FROM centos
MAINTAINER bigdata "79021218@qq.com"
${more}RUN yum -y install wget
RUN wget http://dl.fedoraproject.org/pub/epel/6/x86_64/epel-release-6-8.noarch.rpm
RUN rpm -ivh epel-release-6-8.noarch.rpm
RUN rpm -Va --nofiles --nodigest
RUN  yum install -y nginx --skip-broken
EXPOSE 80
`;
const EMACS = (note: string): string => `# Version: 0.0.1
FROM debian${note}
MAINTAINER mylinux
RUN apt-get update && apt-get install -y emacs # 安装emacs
RUN apt-get install -y apache2 # 安装apache2
CMD ["/bin/bash"] # 容器启动时运行bash
`;
const XENIEL = `# escape=\\ (backslash) 
# This dockerfile uses the ubuntu:xeniel image 
# VERSION 2 - EDITION 1 
# Author: docker_user 
# Command format: Instruction [arguments / command] 
# Base image to use, this must be set as the first line 
FROM ubuntu:xeniel 

# Maintainer: docker_user <docker_user at email.com> (@docker_user) 
LABEL maintainer docker_user<docker_user@email.com> 

# Commands to update the image 
RUN echo "deb http://archive.ubuntu.com/ubuntu/ xeniel main universe" >> /etc/apt/sources.list
RUN apt-get update && apt-get install -y nginx 
RUN echo "\\ndaemon off;">> /etc/nginx/nginx.conf
# Commands when creating a new container
CMD /usr/sbin/nginx
`;
const MAIN_GO = `//main.go will output "Hello,Docker"
package main
import (
        "fmt"
)

func main() {
        fmt.Println("Hello,Docker")
}
`;
const STAGES = `# 第一阶段：golang:1.9作为编译器
FROM  golang:1.9 as builder
# 创建文件夹
RUN  mkdir  -p  /go/src/test
# 进入文件夹
WORKDIR  /go/src/test
# 拷贝main.go文件到/go/src/test
COPY  main.go  .
# 运行 CGO_ENABLED用于交叉编译，此处禁用
RUN   CGO_ENABLED=0  GOOS=linux go build -o app .

# 第二阶段：使用alpine linux作为运行环境
FROM  alpine:latest
# 我们在构建 docker 镜像时一般使用的是 alpine linux 系统，默认是不带 ca-certificates 根证书的，导致无法识别外部 https 携带的数字证书，执行此命令可以识别来自外部https的数字证书
RUN  apk --no-cache  add  ca-certificates
WORKDIR  /root
# 将从 from 指定的构建阶段中寻找源文件
COPY   --from=builder   /go/src/test/app  .
# 运行app
CMD  ["./app"]
`;

/** The course's Dockerfiles and command lines about builds, as they are printed there, typed by two tenants at the same time. */
describe('docker build: the course, line by line', () => {
  const both = new TwoTenants(makeBuildStandIns);
  afterEach(() => both.removeContainers(), 60_000);

  const byBoth: TwoTenants['byBoth'] = (lines) => both.byBoth(lines);
  const context: TwoTenants['context'] = (files) => both.context(files);
  const cachedSteps = (output: string): number => output.split('Using cache').length - 1;
  const imageOf = (output: string): string => /Successfully built ([0-9a-f]{12})/.exec(output)?.[1] ?? 'none';
  const configOf = <T>(docker: DockerCli, image: string, what: string): Promise<T> => docker.json('inspect', '--type', 'image', '-f', `{{json .Config.${what}}}`, image);
  /** An image of one instruction more than the stand-in's. */
  async function of(docker: DockerCli, lines: string, files: Readonly<Record<string, string>> = {}): Promise<string> {
    return docker.ok('build', '-q', await context({ Dockerfile: `FROM centos\n${lines}`, ...files }));
  }

  it(
    'makes a container with volumes of a Dockerfile, which others take over',
    byBoth(async (docker) => {
      const path = await context({ Dockerfile: VOLUMES });
      await docker.shell(`cd ${path} && docker build -f ${path}/Dockerfile -t tim/centos .`);
      expect(await configOf(docker, 'tim/centos', 'Cmd')).toEqual(['/bin/sh', '-c', '/bin/bash']);
      await docker.terminal('docker run -it --name dc01 tim/centos', 'echo one > /dataVolume1/one; exit\n');
      const mounts = await docker.json<{ Type: string; Destination: string }[]>('inspect', '-f', '{{json .Mounts}}', 'dc01');
      expect(mounts.map(({ Type: type, Destination: place }) => `${type} ${place}`).sort()).toEqual(['volume /dataVolume1', 'volume /dataVolume2']);
      await docker.terminal('docker run -it --name dc02 --volumes-from dc01 tim/centos', 'echo two >> /dataVolume1/one; exit\n');
      await docker.terminal('docker run -it --name dc03 --volumes-from dc01 tim/centos', 'cp /dataVolume1/one /dataVolume2/; exit\n');
      expect(await docker.shell('docker run --rm --volumes-from dc01 tim/centos cat /dataVolume2/one')).toBe('one\ntwo');
    }),
    120_000,
  );

  it(
    'builds step by step, takes from its cache what it knows, and builds anew with --no-cache or another ENV',
    byBoth(async (docker) => {
      const path = await context({ Dockerfile: NGINX('') });
      const first = await docker.shell(`cd ${path} && docker build -t="harbourside/dockertest" .`);
      expect(first).toMatch(/Step 1\/8 : FROM centos\n ---> [0-9a-f]{12}\nStep 2\/8 : MAINTAINER bigdata "79021218@qq\.com"\n ---> [0-9a-f]{12}\nStep 3/);
      expect(first).toMatch(/Step 4\/8 : RUN wget http:\S+\n ---> Running in [0-9a-f]{12}\nwget http:\S+epel-release-6-8\.noarch\.rpm\n/);
      const again = await docker.shell(`cd ${path} && docker build -t="harbourside/dockertest:v1" .`);
      expect([cachedSteps(again), imageOf(again)]).toEqual([7, imageOf(first)]);
      const anew = await docker.shell(`cd ${path} && docker build --no-cache -t="harbourside/dockertest" .`);
      expect(cachedSteps(anew)).toBe(0);
      const dated = (date: string): string => NGINX(`ENV REFRESHED_AT ${date}\n`).replace('"79021218@qq.com"', '79021218@qq.com');
      await writeFile(join(path, 'Dockerfile'), dated('2017-11-28'));
      expect(cachedSteps(await docker.shell(`cd ${path} && docker build -t="harbourside/dockertest" .`))).toBe(0);
      await writeFile(join(path, 'Dockerfile'), dated('2017-11-29'));
      expect(cachedSteps(await docker.shell(`cd ${path} && docker build -t="harbourside/dockertest" .`))).toBe(1);
      expect(await docker.shell('docker run --rm harbourside/dockertest cat /var/log/asked-for')).toMatch(/^yum -y install wget\nwget [^\n]*\nrpm -ivh [^\n]*\nrpm -Va --nofiles --nodigest\nyum install -y nginx --skip-broken$/);
      expect(await docker.shell("docker inspect -f '{{.Author}}' harbourside/dockertest")).toBe('bigdata 79021218@qq.com');
      expect(await configOf(docker, 'harbourside/dockertest', 'ExposedPorts')).toEqual({ '80/tcp': {} });
    }),
    180_000,
  );

  it(
    'shows how an image was made',
    byBoth(async (docker) => {
      const id = imageOf(await docker.shell(`cd ${await context({ Dockerfile: NGINX('') })} && docker build .`));
      const rows = (await docker.shell(`docker history ${id}`)).split('\n');
      expect(rows[0]).toMatch(/^IMAGE +CREATED +CREATED BY +SIZE +COMMENT *$/);
      const row = (created: string): RegExp => new RegExp(`^[0-9a-f]{12} +\\S.* ago +${created} +[\\d.]+k?B *$`);
      const made = ['/bin/sh -c #\\(nop\\) {2}EXPOSE 80', '/bin/sh -c yum install -y nginx --skip-broken', '/bin/sh -c rpm -Va --nofiles --nodigest', '/bin/sh -c rpm -ivh epel-release-6-8\\.noarch\\S*…', '/bin/sh -c wget http://dl\\.fedoraproject\\S*…', '/bin/sh -c yum -y install wget', '/bin/sh -c #\\(nop\\) {2}MAINTAINER bigdata .*…'];
      for (const [index, created] of made.entries()) expect(rows[index + 1]).toMatch(row(created));
      expect(rows[1]).toMatch(new RegExp(`^${id} `));
      expect(await docker.shell(`docker history --no-trunc --format '{{.CreatedBy}}' ${id} | sed -n 5p`)).toBe('/bin/sh -c wget http://dl.fedoraproject.org/pub/epel/6/x86_64/epel-release-6-8.noarch.rpm');
    }),
    120_000,
  );

  it(
    'goes on from the step that failed',
    byBoth(async (docker) => {
      const path = await context({ Dockerfile: NGINX('RUN echo before\nRUN test -e /mended\n') });
      expect(await docker.fails('build', '-t', 'harbourside/dockertest', path)).toContain("The command '/bin/sh -c test -e /mended' returned a non-zero code: 1");
      await writeFile(join(path, 'Dockerfile'), NGINX('RUN echo before\nRUN touch /mended\n'));
      expect(cachedSteps(await docker.ok('build', '-t', 'harbourside/dockertest', path))).toBe(2);
    }),
    120_000,
  );

  it(
    "reads a line's closing remark as the shell or Docker does",
    byBoth(async (docker) => {
      const noted = await docker.fails('build', await context({ Dockerfile: EMACS('  # 直接在debain base镜像上构建') }));
      expect(noted).toMatch(/dockerfile parse error on line 2.*: FROM requires either one or three arguments/);
      await docker.ok('build', '-t', 'layers', await context({ Dockerfile: EMACS('') }));
      expect(await docker.shell('docker run --rm layers cat /var/log/asked-for')).toBe('apt-get update\napt-get install -y emacs\napt-get install -y apache2');
      expect(await configOf(docker, 'layers', 'Cmd')).toEqual(['/bin/sh', '-c', '["/bin/bash"] # 容器启动时运行bash']);
    }),
    120_000,
  );

  it(
    'builds the first Dockerfile of the chapter',
    byBoth(async (docker) => {
      await docker.ok('build', '-t', 'xeniel', await context({ Dockerfile: XENIEL }));
      expect(await configOf(docker, 'xeniel', 'Labels')).toEqual({ maintainer: 'docker_user<docker_user@email.com>' });
      expect(await configOf(docker, 'xeniel', 'Cmd')).toEqual(['/bin/sh', '-c', '/usr/sbin/nginx']);
      expect(await docker.shell("docker run --rm xeniel sh -c 'tail -n 1 /etc/apt/sources.list; cat /etc/nginx/nginx.conf'")).toBe('deb http://archive.ubuntu.com/ubuntu/ xeniel main universe\n\ndaemon off;');
    }),
    120_000,
  );

  it(
    'keeps what each instruction about the config says',
    byBoth(async (docker) => {
      const lines = ['LABEL    version  ="1.0.0-rc3"', 'LABEL    KEY=VALUE   key2="VALUE 2"', 'EXPOSE     22    80     8443', 'ENV  APP_VERSION = 1.0.0', 'ENV  key=value', 'VOLUME  ["/data"]', 'STOPSIGNAL  SIGTERM', 'HEALTHCHECK  --interval=30s --timeout=30s --retries=3  CMD  true', 'SHELL ["/bin/bash","-c"]', 'ENTRYPOINT ["executable","param1","param2"]', 'CMD   ["param1","param2"]', 'ONBUILD  RUN  echo child'];
      const image = await of(docker, `${lines.join('\n')}\n`);
      const config = await docker.json<Record<string, unknown>>('inspect', '-f', '{{json .Config}}', image);
      expect(config).toMatchObject({
        Labels: { version: '=1.0.0-rc3', KEY: 'VALUE', key2: 'VALUE 2' },
        ExposedPorts: { '22/tcp': {}, '80/tcp': {}, '8443/tcp': {} },
        Volumes: { '/data': {} },
        StopSignal: 'SIGTERM',
        Healthcheck: { Test: ['CMD-SHELL', 'true'], Interval: 30_000_000_000, Timeout: 30_000_000_000, Retries: 3 },
        Shell: ['/bin/bash', '-c'],
        Entrypoint: ['executable', 'param1', 'param2'],
        Cmd: ['param1', 'param2'],
        OnBuild: ['RUN  echo child'],
      });
      expect(config['Env']).toEqual(expect.arrayContaining(['APP_VERSION== 1.0.0', 'key=value']));
      const shell = await of(docker, 'ENTRYPOINT   command   param1   param2\nHEALTHCHECK   NONE\n');
      expect(await configOf(docker, shell, 'Entrypoint')).toEqual(['/bin/sh', '-c', 'command   param1   param2']);
      expect(await configOf(docker, shell, 'Healthcheck')).toEqual({ Test: ['NONE'] });
    }),
    120_000,
  );

  it(
    'runs as the user, in the folder and by the shell that it is told',
    byBoth(async (docker) => {
      const groups = 'RUN   groupadd -r  postgres  &&  useradd  --no-log-init  -r -g  postgres  postgres\n';
      const path = await context({ Dockerfile: `FROM centos\n${groups}USER  daemon\nRUN id -un\nUSER postgres\nRUN id -gn\nUSER root\nWORKDIR   /a\nWORKDIR   b\nWORKDIR   c\nRUN  pwd\nRUN   ["/bin/bash", "-c", "echo hello"]\n` });
      expect(await docker.ok('build', path)).toMatch(/\ndaemon\n[^]*\npostgres\n[^]*\n\/a\/b\/c\n[^]*\nhello\n/);
    }),
    120_000,
  );

  it(
    'starts what the entrypoint, the command and the command line say together',
    byBoth(async (docker) => {
      await docker.ok('build', '-t', 'command', await context({ Dockerfile: 'FROM centos\nENTRYPOINT ["echo","param1"]\nCMD   ["param2"]\nCMD   ["param3"]\n' }));
      expect(await docker.shell('docker run --rm command')).toBe('param1 param3');
      expect(await docker.shell('docker run --rm command given')).toBe('param1 given');
      expect(await docker.shell('docker run --rm --entrypoint cat command /etc/hostname')).toMatch(/^[0-9a-f]{12}$/);
      expect(await docker.shell('docker run --rm --entrypoint env --env key=other command')).toMatch(/^key=other$/m);
    }),
    120_000,
  );

  it(
    'takes an image by its argument, by its digest and by nothing at all',
    byBoth(async (docker) => {
      expect(await docker.ok('build', await context({ Dockerfile: 'ARG VERSION=9.3 \n\nFROM debian:${VERSION} \nRUN echo "it is $DEBIAN"\n' }))).toMatch(/\nit is 9\.3\n/);
      const id = await docker.shell("docker inspect -f '{{.Id}}' debian:9.3");
      expect(await docker.ok('build', '--build-arg', 'WHO=given', await context({ Dockerfile: `FROM ${id} AS named\nARG  WHO=nobody\nRUN echo "by $WHO"\n` }))).toMatch(/\nby given\n/);
      await docker.ok('build', '-t', 'nothing', await context({ Dockerfile: 'FROM scratch\nADD hello /\nCMD ["/hello"]\n', hello: '' }));
    }),
    120_000,
  );

  it(
    'adds files by name, by pattern, from archives and URLs, below the working directory and elsewhere',
    byBoth(async (docker) => {
      const path = await context({ Dockerfile: 'FROM busybox\nADD  *.c    /code/\nWORKDIR /srv\nCOPY  dir   copied\nADD archive.tar.gz unpacked/\nRUN find /code /srv -type f | sort\n', 'a.c': '', 'b.c': '', 'c.h': '', 'dir/in': '', 'packed/file': '' });
      execFileSync('tar', ['-C', join(path, 'packed'), '-czf', join(path, 'archive.tar.gz'), 'file']);
      expect(await docker.ok('build', path)).toMatch(/\n\/code\/a\.c\n\/code\/b\.c\n\/srv\/copied\/in\n\/srv\/unpacked\/file\n/);
    }),
    120_000,
  );

  it(
    'builds a folder by its path, without what .dockerignore names, and a tar from standard input',
    byBoth(async (docker) => {
      const path = await context({ Dockerfile: 'FROM busybox\nCOPY . /all\nRUN cd /all && find . -type f | sort\n', '.dockerignore': '*.tmp\ntemp?\n!kept.tmp\nDockerfile\n.dockerignore\n', 'a.tmp': '', 'kept.tmp': '', temp1: '', temperature: '' });
      expect(await docker.shell(`docker   build  -t   builder/first_image:1.0.0  ${path}/`)).toMatch(/\n\.\/kept\.tmp\n\.\/temperature\n[^]*Successfully tagged builder\/first_image:1\.0\.0$/);
      const archived = await docker.shell(`tar -C ${path} -cf - . | docker build -`);
      expect(imageOf(archived)).toBe(await docker.shell("docker inspect -f '{{slice .Id 7 19}}' builder/first_image:1.0.0"));
    }),
    120_000,
  );

  it(
    'builds in two stages and runs what came of the first in the second',
    byBoth(async (docker) => {
      const path = await context({ Dockerfile: STAGES, 'main.go': MAIN_GO });
      await docker.shell(`cd ${path} && docker build -t  yeasy/test-multistage:latest .`);
      expect(await docker.shell('docker run --rm yeasy/test-multistage:latest')).toBe('Hello,Docker');
      const [large, small] = await Promise.all(['golang:1.9', 'yeasy/test-multistage'].map((name) => docker.json<number>('inspect', '-f', '{{.Size}}', name)));
      expect(Number(small)).toBeLessThan(Number(large) / 10);
    }),
    120_000,
  );

  it(
    'carries out in a child what its parent has left for it',
    byBoth(async (docker) => {
      await docker.ok('build', '-t', 'ruby:2.1-onbuild', await context({ Dockerfile: 'FROM centos\nONBUILD  COPY . /usr/src/app\nONBUILD  RUN  ls /usr/src/app\n' }));
      expect(await docker.ok('build', '-t', 'child', await context({ Dockerfile: 'FROM ruby:2.1-onbuild\n', Gemfile: '' }))).toMatch(/# Executing 2 build triggers\n[^]*\nGemfile\n/);
      expect(await configOf(docker, 'child', 'OnBuild')).toBeNull();
    }),
    120_000,
  );

  it("shows a tenant none of another's images", async () => {
    const [anna, bert] = both.tenants as [DockerCli, DockerCli];
    await anna.ok('build', '-t', 'annas', await context({ Dockerfile: 'FROM busybox\nRUN echo secret > /secret\n' }));
    expect(await bert.ok('images', '-q', 'annas')).toBe('');
    const output = await bert.ok('build', await context({ Dockerfile: 'FROM busybox\nRUN echo secret > /secret\n' }));
    expect(cachedSteps(output)).toBe(0);
    expect(await bert.fails('build', await context({ Dockerfile: 'FROM annas\n' }))).not.toContain('Successfully');
  }, 120_000);
});
