import { Module } from '@nestjs/common';
import { APP_GUARD } from '@nestjs/core';
import { AuthGuard } from './auth.guard.js';
import { KeyAuthenticator } from './key-authenticator.service.js';
import { RateLimits } from './rate-limits.service.js';

@Module({
  providers: [KeyAuthenticator, RateLimits, { provide: APP_GUARD, useClass: AuthGuard }],
  exports: [KeyAuthenticator, RateLimits],
})
export class AuthModule {}
