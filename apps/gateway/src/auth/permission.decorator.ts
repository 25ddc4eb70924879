import { SetMetadata } from '@nestjs/common';
import type { Scope } from '#contracts';
import type { Permission } from './caller.js';

export const PERMISSION_METADATA = 'sandbar:permission';

/** The scope that the caller's key must hold; `any`: every valid key. */
export const RequirePermission = (permission: Scope | 'any'): MethodDecorator => SetMetadata<string, Permission>(PERMISSION_METADATA, permission);

/** For anyone, without a key. */
export const Public = (): MethodDecorator => SetMetadata<string, Permission>(PERMISSION_METADATA, 'public');
