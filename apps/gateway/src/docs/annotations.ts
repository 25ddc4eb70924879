import type * as Documents from '@nestjs/swagger';

type Name = 'ApiBearerAuth' | 'ApiConsumes' | 'ApiExcludeController' | 'ApiExcludeEndpoint' | 'ApiHeader' | 'ApiOperation' | 'ApiParam' | 'ApiResponse' | 'ApiTags';
/** Where a decorator stands: a class, or a method of a class. */
type Place = [target: object, key?: string | symbol, descriptor?: PropertyDescriptor];
type Annotation = (...place: Place) => void;

/** In the order in which they were met, which is the one they are to be carried out in. */
const kept: ((documents: typeof Documents) => void)[] = [];

/**
 * What controllers say for the API document, under the names and with the parameters of @nestjs/swagger. It is noted here and carried out when somebody asks
 * for the document: the library, with all that it brings in, is a quarter of the modules that the gateway would load to start.
 */
export const ApiBearerAuth = annotation('ApiBearerAuth');
export const ApiConsumes = annotation('ApiConsumes');
export const ApiExcludeController = annotation('ApiExcludeController');
export const ApiExcludeEndpoint = annotation('ApiExcludeEndpoint');
export const ApiHeader = annotation('ApiHeader');
export const ApiOperation = annotation('ApiOperation');
export const ApiParam = annotation('ApiParam');
export const ApiResponse = annotation('ApiResponse');
export const ApiTags = annotation('ApiTags');

/** Idempotent: each is carried out once. */
export function carryOutAnnotations(documents: typeof Documents): void {
  for (const one of kept.splice(0)) one(documents);
}

function annotation<N extends Name>(name: N): (...parameters: Parameters<(typeof Documents)[N]>) => ClassDecorator & MethodDecorator {
  return (...parameters) => (...place: Place) => {
    kept.push((documents) => {
      const decorate = documents[name] as (...parameters: unknown[]) => Annotation;
      decorate(...parameters)(...place);
    });
  };
}
