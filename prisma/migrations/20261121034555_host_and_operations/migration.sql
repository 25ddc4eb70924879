-- AlterTable
ALTER TABLE "tenants" ADD COLUMN     "home_node_id" TEXT;

-- CreateTable
CREATE TABLE "operations" (
    "id" TEXT NOT NULL,
    "tenant_id" TEXT NOT NULL,
    "kind" TEXT NOT NULL,
    "state" TEXT NOT NULL,
    "reference" TEXT NOT NULL,
    "platform" JSONB,
    "with_auth" BOOLEAN NOT NULL,
    "node_id" TEXT NOT NULL,
    "request_id" TEXT NOT NULL,
    "requeued" INTEGER NOT NULL DEFAULT 0,
    "outcome" BYTEA,
    "created_at" TIMESTAMPTZ(3) NOT NULL,
    "started_at" TIMESTAMPTZ(3),
    "finished_at" TIMESTAMPTZ(3),
    "cancel_requested_at" TIMESTAMPTZ(3),

    CONSTRAINT "operations_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "host_drops" (
    "tenant_id" TEXT NOT NULL,
    "node_id" TEXT NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "host_drops_pkey" PRIMARY KEY ("tenant_id")
);

-- CreateIndex
CREATE INDEX "operations_tenant_id_state_id_idx" ON "operations"("tenant_id", "state", "id");

-- CreateIndex
CREATE INDEX "operations_finished_at_id_idx" ON "operations"("finished_at", "id");

-- CreateIndex
CREATE UNIQUE INDEX "operations_tenant_id_id_key" ON "operations"("tenant_id", "id");

-- CreateIndex
CREATE INDEX "tenants_home_node_id_idx" ON "tenants"("home_node_id");

-- AddForeignKey
ALTER TABLE "operations" ADD CONSTRAINT "operations_tenant_id_fkey" FOREIGN KEY ("tenant_id") REFERENCES "tenants"("id") ON DELETE CASCADE ON UPDATE RESTRICT;

-- An operation is final exactly when it has ended and has its outcome. (By hand: Prisma's schema has no CHECK.)
ALTER TABLE "operations" ADD CONSTRAINT "operations_final_is_whole" CHECK (
    ("state" IN ('queued', 'running')) = ("finished_at" IS NULL) AND ("finished_at" IS NULL) = ("outcome" IS NULL)
);

-- A tenant's key that might do everything goes on doing so.
UPDATE "api_keys" SET "scopes" = "scopes" || ARRAY['host:read', 'host:write']
WHERE "tenant_id" IS NOT NULL AND "scopes" @> ARRAY['runs:read', 'runs:write', 'keys:read', 'keys:write'] AND NOT "scopes" && ARRAY['host:read', 'host:write'];
