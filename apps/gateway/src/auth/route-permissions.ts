import { RequestMethod } from '@nestjs/common';
import { METHOD_METADATA, PATH_METADATA } from '@nestjs/common/constants.js';
import { MetadataScanner, ModulesContainer } from '@nestjs/core';
import type { Permission } from './caller.js';
import { PERMISSION_METADATA } from './permission.decorator.js';

export interface RoutePermission {
  readonly method: string;
  readonly path: string;
  readonly handler: string;
  readonly permission: Permission | undefined;
}

/** Every route of every controller, and the permission that its decorator names. */
export function listRoutePermissions(modules: ModulesContainer): RoutePermission[] {
  const scanner = new MetadataScanner();
  const routes: RoutePermission[] = [];
  for (const module of modules.values()) {
    for (const { metatype } of module.controllers.values()) {
      if (typeof metatype !== 'function') continue;
      const prototype = metatype.prototype as Record<string, object>;
      const base = Reflect.getMetadata(PATH_METADATA, metatype) as string;
      for (const name of scanner.getAllMethodNames(prototype)) {
        const handler = prototype[name];
        if (handler === undefined || !Reflect.hasMetadata(METHOD_METADATA, handler)) continue;
        const own = Reflect.getMetadata(PATH_METADATA, handler) as string;
        routes.push({
          method: RequestMethod[Reflect.getMetadata(METHOD_METADATA, handler) as RequestMethod],
          path: `/${[base, own].flatMap((part) => part.split('/')).filter((part) => part !== '').join('/')}`,
          handler: `${metatype.name}.${name}`,
          permission: Reflect.getMetadata(PERMISSION_METADATA, handler) as Permission | undefined,
        });
      }
    }
  }
  return routes;
}

/** The gateway does not start with a route about which nobody decided who may call it. */
export function assertEveryRouteDecides(routes: readonly RoutePermission[]): void {
  const open = routes.filter((route) => route.permission === undefined);
  if (open.length > 0) throw new Error(`routes without @RequirePermission or @Public: ${open.map((route) => `${route.method} ${route.path} (${route.handler})`).join(', ')}`);
}
