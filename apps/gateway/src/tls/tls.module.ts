import { Module } from '@nestjs/common';
import { AuthModule } from '../auth/auth.module.js';
import { CertificatesController } from './certificates.controller.js';

@Module({ imports: [AuthModule], controllers: [CertificatesController] })
export class TlsModule {}
