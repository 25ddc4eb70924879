-- CreateTable
CREATE TABLE "builds" (
    "id" TEXT NOT NULL,
    "tenant_id" TEXT NOT NULL,
    "state" TEXT NOT NULL,
    "spec" BYTEA NOT NULL,
    "spec_hash" BYTEA NOT NULL,
    "idempotency_key" TEXT,
    "node_id" TEXT NOT NULL,
    "attached" BOOLEAN NOT NULL,
    "request_id" TEXT NOT NULL,
    "requeued" INTEGER NOT NULL DEFAULT 0,
    "outcome" BYTEA,
    "created_at" TIMESTAMPTZ(3) NOT NULL,
    "started_at" TIMESTAMPTZ(3),
    "finished_at" TIMESTAMPTZ(3),
    "cancel_requested_at" TIMESTAMPTZ(3),

    CONSTRAINT "builds_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "build_logs" (
    "tenant_id" TEXT NOT NULL,
    "build_id" TEXT NOT NULL,
    "frames" BYTEA NOT NULL,

    CONSTRAINT "build_logs_pkey" PRIMARY KEY ("tenant_id","build_id")
);

-- CreateIndex
CREATE INDEX "builds_tenant_id_state_id_idx" ON "builds"("tenant_id", "state", "id");

-- CreateIndex
CREATE INDEX "builds_finished_at_id_idx" ON "builds"("finished_at", "id");

-- CreateIndex
CREATE UNIQUE INDEX "builds_tenant_id_id_key" ON "builds"("tenant_id", "id");

-- CreateIndex
CREATE UNIQUE INDEX "builds_tenant_id_idempotency_key_key" ON "builds"("tenant_id", "idempotency_key");

-- AddForeignKey
ALTER TABLE "builds" ADD CONSTRAINT "builds_tenant_id_fkey" FOREIGN KEY ("tenant_id") REFERENCES "tenants"("id") ON DELETE CASCADE ON UPDATE RESTRICT;

-- AddForeignKey
ALTER TABLE "build_logs" ADD CONSTRAINT "build_logs_tenant_id_build_id_fkey" FOREIGN KEY ("tenant_id", "build_id") REFERENCES "builds"("tenant_id", "id") ON DELETE CASCADE ON UPDATE RESTRICT;
