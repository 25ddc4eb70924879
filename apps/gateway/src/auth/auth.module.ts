import { Module } from '@nestjs/common';
import { APP_GUARD } from '@nestjs/core';
import { AuthGuard } from './auth.guard.js';
import { KeyAuthenticator } from './key-authenticator.service.js';
import { RateLimits } from './rate-limits.service.js';
import { RequestAuthentication } from './request-authentication.service.js';

@Module({
  providers: [KeyAuthenticator, RateLimits, RequestAuthentication, { provide: APP_GUARD, useClass: AuthGuard }],
  exports: [KeyAuthenticator, RateLimits, RequestAuthentication],
})
export class AuthModule {}
