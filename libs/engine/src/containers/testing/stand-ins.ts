import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { CodedError, digestOf, newId, type Digest, type TenantId } from '#kernel';
import type { AppendLayer } from '../../images/index.js';
import type { TenantContainersOptions } from '../index.js';
