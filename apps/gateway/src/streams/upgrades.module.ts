import { Module } from '@nestjs/common';
import { AuthModule } from '../auth/auth.module.js';
import { UpgradeAdmission } from './upgrade-admission.service.js';
import { UpgradeAuthenticator } from './upgrade-authenticator.service.js';

/** Who asks for an upgrade: for every part that takes some. */
@Module({ imports: [AuthModule], providers: [UpgradeAdmission, UpgradeAuthenticator], exports: [UpgradeAdmission, UpgradeAuthenticator] })
export class UpgradesModule {}
