import type { Redis } from 'ioredis';
import { nodeHeartbeatSchema, type NodeHeartbeat } from '#contracts';
import type { Logger, NodeId } from '#kernel';
import type { QueueKeys } from '../connections/keys.js';
import type { NodeRegistry } from '../queue.js';

const FORGOTTEN_AFTER_MS = 6000;

/** Heartbeats as keys that expire, and a set of the ids that ever beat. The liveness key beside is what claims look at. */
export class RedisNodeRegistry implements NodeRegistry {
  constructor(
    private readonly redis: Redis,
    private readonly keys: QueueKeys,
    private readonly logger: Logger,
  ) {}

  async beat(heartbeat: NodeHeartbeat): Promise<void> {
    await this.redis
      .multi()
      .set(this.keys.heartbeat(heartbeat.nodeId), JSON.stringify(heartbeat), 'PX', FORGOTTEN_AFTER_MS)
      .set(this.keys.nodeAlive(heartbeat.nodeId), heartbeat.incarnation, 'PX', FORGOTTEN_AFTER_MS)
      .sadd(this.keys.nodes, heartbeat.nodeId)
      .exec();
  }

  async list(): Promise<NodeHeartbeat[]> {
    const ids = (await this.redis.smembers(this.keys.nodes)).sort();
    if (ids.length === 0) return [];
    const texts = await this.redis.mget(ids.map((id) => this.keys.heartbeat(id)));
    return texts.map((text) => this.read(text)).filter((heartbeat) => heartbeat !== undefined);
  }

  async get(nodeId: NodeId): Promise<NodeHeartbeat | undefined> {
    return this.read(await this.redis.get(this.keys.heartbeat(nodeId)));
  }

  async leave(nodeId: NodeId): Promise<void> {
    await this.redis.multi().del(this.keys.heartbeat(nodeId), this.keys.nodeAlive(nodeId)).srem(this.keys.nodes, nodeId).exec();
  }

  private read(text: string | null): NodeHeartbeat | undefined {
    if (text === null) return undefined;
    try {
      return nodeHeartbeatSchema.parse(JSON.parse(text));
    } catch (error) {
      this.logger.warn({ error: String(error).slice(0, 500) }, 'a heartbeat is malformed');
      return undefined;
    }
  }
}
