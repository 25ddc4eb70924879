import { Module } from '@nestjs/common';
import { AuthModule } from '../auth/auth.module.js';
import { UpgradeAuthenticator } from './upgrade-authenticator.service.js';

/** Who asks for an upgrade: for every part that takes some. */
@Module({ imports: [AuthModule], providers: [UpgradeAuthenticator], exports: [UpgradeAuthenticator] })
export class UpgradesModule {}
