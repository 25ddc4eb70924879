import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { makeStandIns } from './stand-ins.js';
import { TwoTenants } from './two-tenants.js';

/** The course's command lines about containers, as they are printed there, typed by two tenants at the same time. */
describe('docker: the course, line by line', () => {
  const both = new TwoTenants(makeStandIns);
  afterEach(() => both.removeContainers(), 60_000);

  const byBoth: TwoTenants['byBoth'] = (lines) => both.byBoth(lines);
  const until = async (what: () => Promise<boolean>): Promise<void> => {
    for (let attempt = 0; !(await what()); attempt += 1) {
      if (attempt === 100) throw new Error('it did not come to be');
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  };

  it(
    'runs a terminal in a container',
    byBoth(async (docker) => {
      const { exitCode, stdout } = await docker.terminal('docker run -t -i --name test_container centos /bin/bash', 'echo $((6*7)); tty; exit 3\n');
      expect(stdout).toMatch(/^42\r?$/m);
      expect(stdout).toMatch(/\/dev\/pts\/0/);
      expect(exitCode).toBe(3);
      expect(await docker.shell("docker inspect -f '{{.State.Status}} {{.State.ExitCode}} {{.Config.Tty}}' test_container")).toBe('exited 3 true');
    }),
    60_000,
  );

  it(
    'publishes a port of a container in the foreground, and removes all that run',
    byBoth(async (docker) => {
      const foreground = docker.terminal('docker run -it -p 8888:8080 tomcat');
      await until(async () => (await docker.ok('ps', '-q')) !== '');
      expect(await docker.ok('ps', '--format', '{{.Ports}}')).toMatch(/0\.0\.0\.0:8888->8080\/tcp/);
      await docker.shell('docker rm -f $(docker ps -q)');
      expect((await foreground).exitCode).toBe(137);
      expect(await docker.ok('ps', '-aq')).toBe('');
    }),
    60_000,
  );

  it(
    'commits what was changed, with message and author',
    byBoth(async (docker) => {
      const id = await docker.shell('docker run -d -p 8080:8080 tomcat');
      await docker.shell(`docker exec ${id} sh -c 'echo changed > /etc/changed'`);
      await docker.shell(`docker commit -m="This is my Tomcat" -a="Tim" ${id.slice(0, 12)} xpu/tomcat_02:1.2`);
      expect(await docker.shell("docker inspect -f '{{.Author}} {{.Comment}}' xpu/tomcat_02:1.2")).toBe('Tim This is my Tomcat');
      expect(await docker.shell('docker run --rm xpu/tomcat_02:1.2 cat /etc/changed')).toBe('changed');
    }),
    60_000,
  );

  it(
    'shares a folder of the host, for writing and for reading only',
    byBoth(async (docker) => {
      await docker.terminal('docker run -it -v /myDataVolume:/dataVolumeContainer centos', 'echo kept > /dataVolumeContainer/file; exit\n');
      const { stdout } = await docker.terminal('docker run -it -v /myDataVolume:/dataVolumeContainer:ro centos', 'cat /dataVolumeContainer/file; touch /dataVolumeContainer/new; exit\n');
      expect(stdout).toMatch(/^kept\r?$/m);
      expect(stdout).toMatch(/Read-only file system/);
    }),
    60_000,
  );

  it(
    'hands volumes from container to container',
    byBoth(async (docker) => {
      await docker.terminal('docker run -it -v /dbdata --name dbdata ubuntu', 'echo one > /dbdata/one; exit\n');
      await docker.terminal('docker run -it --volumes-from dbdata --name db1 ubuntu', 'echo two > /dbdata/two; exit\n');
      await docker.shell('docker run -itd --name db4 --volumes-from db1 ubuntu');
      expect(await docker.shell('docker exec db4 ls /dbdata')).toBe('one\ntwo');
      await docker.shell('docker rm dbdata');
      expect(await docker.shell('docker exec db4 cat /dbdata/one')).toBe('one');
    }),
    60_000,
  );

  it(
    'backs a volume up and restores it',
    byBoth(async (docker) => {
      await docker.shell("docker run -v /dbdata --name dbdata ubuntu sh -c 'echo kept > /dbdata/file'");
      await docker.shell('docker run --volumes-from dbdata -v /pwd:/backup --name worker ubuntu tar cvf /backup/backup.tar /dbdata');
      await docker.shell('docker run -v /dbdata --name dbdata2 ubuntu /bin/bash');
      expect(await docker.shell('docker run --volumes-from dbdata2 -v /pwd:/backup busybox tar xvf /backup/backup.tar')).toMatch(/dbdata\/file/);
      expect(await docker.shell('docker run --rm --volumes-from dbdata2 busybox cat /dbdata/file')).toBe('kept');
    }),
    60_000,
  );

  it(
    'runs a daemon, shows its output, stops, starts and restarts it',
    byBoth(async (docker) => {
      const id = await docker.shell('docker run -d ubuntu /bin/sh -c "while true; do echo hello world; sleep 1; done"');
      await until(async () => (await docker.shell(`docker logs ${id}`)).includes('hello world'));
      await docker.shell(`docker stop -t 1 ${id}`);
      expect(await docker.shell('docker ps -a -q')).toBe(id.slice(0, 12));
      await docker.shell(`docker start ${id}`);
      await docker.shell(`docker restart -t 1 ${id}`);
      expect(await docker.shell(`docker ps --format '{{.Status}}'`)).toMatch(/^Up /);
      expect(await docker.shell(`docker top ${id}`)).toMatch(/UID +PID +PPID[^]*hello world/);
      expect(await docker.shell(`docker stats --no-stream --format '{{.MemUsage}} {{.PIDs}}' ${id}`)).toMatch(/MiB|KiB/);
      const attached = docker.terminal(`docker attach --sig-proxy=false ${id}`, '', { timeoutMs: 30_000 });
      await docker.shell('sleep 2');
      await docker.shell(`docker kill ${id}`);
      expect((await attached).stdout).toMatch(/hello world/);
      await docker.shell(`docker rm ${id}`);
    }),
    90_000,
  );

  it(
    'enters a running container',
    byBoth(async (docker) => {
      await docker.shell('docker run -d -P --name web --mount type=bind,source=/tmp,destination=/opt/webapp ubuntu:latest /bin/sh -c "while true;do echo helloworld; sleep 2; done"');
      const { stdout, exitCode } = await docker.terminal('docker exec -it web /bin/sh', 'cd /opt/webapp\ntouch 1.txt\necho zhengdong > 1.txt\nexit\n');
      expect(stdout).toContain('# ');
      expect(exitCode).toBe(0);
      expect(await docker.shell('docker run --rm -v /tmp:/opt/webapp:ro ubuntu:latest cat /opt/webapp/1.txt')).toBe('zhengdong');
    }),
    60_000,
  );

  it(
    'exports a container and imports it as an image without history',
    byBoth(async (docker) => {
      const file = join(await both.newFolder(), 'test_for_fun.tar');
      const id = await docker.shell("docker run -d ubuntu sh -c 'echo fun > /fun'");
      await docker.shell(`docker wait ${id}`);
      await docker.shell(`docker export -o ${file} ${id.slice(0, 3)}`);
      await docker.shell(`docker import ${file} test/ubuntu:v1.0`);
      expect(await docker.shell('docker run --rm test/ubuntu:v1.0 cat /fun')).toBe('fun');
      expect((await docker.shell('docker history -q test/ubuntu:v1.0')).split('\n')).toHaveLength(1);
    }),
    60_000,
  );

  it(
    'inspects, copies, shows changes and ports, and updates limits',
    byBoth(async (docker) => {
      const data = join(await both.newFolder(), 'data');
      await writeFile(data, 'copied');
      const id = await docker.shell('docker run -itd --name test -p 127.0.0.1::5000 ubuntu');
      expect(await docker.shell("docker container inspect -f '{{.State.Running}}' test")).toBe('true');
      await docker.shell(`docker cp ${data} ${id.slice(0, 3)}:/tmp/`);
      expect(await docker.shell('docker exec test cat /tmp/data')).toBe('copied');
      await docker.shell(`docker cp -a test:/tmp/data ${data}.back`);
      expect(await docker.shell(`docker diff ${id}`)).toBe('C /tmp\nA /tmp/data');
      expect(await docker.shell(`docker container port ${id}`)).toMatch(/^5000\/tcp -> 127\.0\.0\.1:\d+$/);
      await docker.shell(`docker update --cpu-quota 1000000 ${id.slice(0, 3)}`);
      await docker.shell('docker container update -m 300m --memory-swap 300m --cpu-shares 512 --cpu-period 100000 --restart unless-stopped test');
      expect(await docker.shell("docker inspect -f '{{.HostConfig.CpuQuota}} {{.HostConfig.Memory}} {{.HostConfig.CpuShares}} {{.HostConfig.RestartPolicy.Name}}' test")).toBe('1000000 314572800 512 unless-stopped');
    }),
    60_000,
  );

  it(
    'maps ports in every form',
    byBoth(async (docker) => {
      await docker.shell('docker run -d -P --name relaxed_williamson docker.io/nginx');
      expect(Number(/:(\d+)$/m.exec(await docker.shell('docker port relaxed_williamson 80'))?.[1])).toBeGreaterThanOrEqual(32_768);
      const two = await docker.shell('docker run -d -p 5000:5000 -p 3000:80 ubuntu/test');
      expect((await docker.shell(`docker port ${two}`)).split('\n').sort()).toEqual(expect.arrayContaining(['5000/tcp -> 0.0.0.0:5000', '80/tcp -> 0.0.0.0:3000']));
      expect(await docker.fails('run', '-d', '-p', '5000:5000', 'ubuntu/test')).toMatch(/Bind for 0\.0\.0\.0:5000 failed: port is already allocated/);
      await docker.shell(`docker rm -f ${two}`);
      await docker.shell('docker run -d -p 127.0.0.1:5000:5000 ubuntu/test');
      const any = await docker.shell('docker run -d -p 127.0.0.1::5000 ubuntu/test');
      expect(await docker.shell(`docker port ${any} 5000`)).toMatch(/^127\.0\.0\.1:\d+$/);
      const udp = await docker.shell('docker run -d -p 127.0.0.1:5000:5000/udp ubuntu/test');
      expect(await docker.shell(`docker port ${udp}`)).toBe('5000/udp -> 127.0.0.1:5000');
    }),
    90_000,
  );

  it(
    'links containers',
    byBoth(async (docker) => {
      await docker.shell('docker run -d --name db nginx');
      await docker.shell('docker run -d -P --name web --link db:db training/webapp python app.py');
      expect(await docker.shell('docker inspect -f "{{.Name}}" web')).toBe('/web');
      const env = await docker.shell('docker exec web env');
      const address = await docker.shell("docker inspect -f '{{.NetworkSettings.IPAddress}}' db");
      expect(env).toContain(`DB_PORT=tcp://${address}:80`);
      expect(env).toContain(`DB_PORT_80_TCP_ADDR=${address}`);
      expect(env).toContain('DB_NAME=/web/db');
      expect(env).toContain('DB_ENV_NGINX_VERSION=1.25.0');
      expect(await docker.shell('docker exec web cat /etc/hosts')).toMatch(new RegExp(`^${address.replaceAll('.', '\\.')}\\s+db `, 'm'));
      expect(await docker.shell('docker exec web wget -qO- http://db/passwd')).toMatch(/^root:/);
    }),
    60_000,
  );

  it(
    "joins the tenant's host network",
    byBoth(async (docker) => {
      await docker.shell('docker run -d -p 8080 --name tomcatstart tomcat:7.0');
      const port = /:(\d+)$/m.exec(await docker.shell('docker port tomcatstart 8080'))?.[1] ?? '';
      const { stdout } = await docker.terminal('docker run --net host --name test_dev -t -i centos /bin/bash', `exec 3<>/dev/tcp/127.0.0.1/${port}; printf 'GET /passwd HTTP/1.0\\r\\n\\r\\n' >&3; cat <&3; exit\n`);
      expect(stdout).toMatch(/^root:/m);
    }),
    60_000,
  );
});
