import { RoutePattern } from './route-pattern.js';

/** The routes that the HTTP server really has, noted as they are registered. */
export class RouteTable {
  private readonly routes: { readonly method: string; readonly pattern: RoutePattern }[] = [];

  add(method: string, path: string): void {
    this.routes.push({ method, pattern: new RoutePattern(path) });
  }

  /** Methods with a route for this path; none when the path is unknown. */
  methodsFor(path: string): string[] {
    return [...new Set(this.routes.filter(({ pattern }) => pattern.match(path) !== undefined).map(({ method }) => method))].sort();
  }

  all(): { method: string; path: string }[] {
    return this.routes.map(({ method, pattern }) => ({ method, path: pattern.text }));
  }
}
