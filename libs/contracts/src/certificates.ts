import { z } from 'zod';

export const createCertificateSchema = z.strictObject({ publicKey: z.string().max(16_384).optional().describe('SubjectPublicKeyInfo in PEM.') });
export type CreateCertificate = z.infer<typeof createCertificateSchema>;

/** PEM throughout. The only answer that ever holds the private key. */
export const certificateViewSchema = z.object({
  certificate: z.string(),
  key: z.string().nullable().describe('null: it is your own.'),
  authority: z.string(),
  expiresAt: z.iso.datetime(),
});
export type CertificateView = z.infer<typeof certificateViewSchema>;

export const authorityViewSchema = z.object({ certificate: z.string() });
export type AuthorityView = z.infer<typeof authorityViewSchema>;
