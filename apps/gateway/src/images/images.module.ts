import { Module } from '@nestjs/common';
import { NodesModule } from '../nodes/nodes.module.js';
import { OperationsModule } from '../operations/operations.module.js';
import { ImageArchivesController } from './image-archives.controller.js';
import { ImageUploads } from './image-uploads.service.js';
import { ImagesController } from './images.controller.js';
import { ImagesService } from './images.service.js';

@Module({
  imports: [NodesModule, OperationsModule],
  controllers: [ImageArchivesController, ImagesController],
  providers: [ImagesService, ImageUploads],
})
export class ImagesModule {}
