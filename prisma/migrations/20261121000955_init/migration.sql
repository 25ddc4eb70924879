-- CreateTable
CREATE TABLE "tenants" (
    "id" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "limits" JSONB NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "tenants_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "api_keys" (
    "id" TEXT NOT NULL,
    "tenant_id" TEXT,
    "name" TEXT NOT NULL,
    "prefix" TEXT NOT NULL,
    "hash" TEXT NOT NULL,
    "scopes" TEXT[],
    "created_at" TIMESTAMPTZ(3) NOT NULL,
    "expires_at" TIMESTAMPTZ(3),
    "last_used_at" TIMESTAMPTZ(3),
    "revoked_at" TIMESTAMPTZ(3),

    CONSTRAINT "api_keys_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "runs" (
    "id" TEXT NOT NULL,
    "tenant_id" TEXT NOT NULL,
    "state" TEXT NOT NULL,
    "runtime" TEXT NOT NULL,
    "labels" JSONB NOT NULL,
    "spec" BYTEA NOT NULL,
    "spec_hash" BYTEA NOT NULL,
    "idempotency_key" TEXT,
    "epoch" INTEGER NOT NULL DEFAULT 0,
    "node_id" TEXT,
    "outcome" BYTEA,
    "created_at" TIMESTAMPTZ(3) NOT NULL,
    "started_at" TIMESTAMPTZ(3),
    "finished_at" TIMESTAMPTZ(3),
    "cancel_requested_at" TIMESTAMPTZ(3),

    CONSTRAINT "runs_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "run_logs" (
    "tenant_id" TEXT NOT NULL,
    "run_id" TEXT NOT NULL,
    "frames" BYTEA NOT NULL,

    CONSTRAINT "run_logs_pkey" PRIMARY KEY ("tenant_id","run_id")
);

-- CreateIndex
CREATE UNIQUE INDEX "tenants_name_key" ON "tenants"("name");

-- CreateIndex
CREATE UNIQUE INDEX "api_keys_hash_key" ON "api_keys"("hash");

-- CreateIndex
CREATE INDEX "api_keys_tenant_id_id_idx" ON "api_keys"("tenant_id", "id");

-- CreateIndex
CREATE INDEX "runs_tenant_id_state_id_idx" ON "runs"("tenant_id", "state", "id");

-- CreateIndex
CREATE INDEX "runs_tenant_id_runtime_id_idx" ON "runs"("tenant_id", "runtime", "id");

-- CreateIndex
CREATE INDEX "runs_labels_idx" ON "runs" USING GIN ("labels" jsonb_path_ops);

-- CreateIndex
CREATE INDEX "runs_finished_at_id_idx" ON "runs"("finished_at", "id");

-- CreateIndex
CREATE UNIQUE INDEX "runs_tenant_id_id_key" ON "runs"("tenant_id", "id");

-- CreateIndex
CREATE UNIQUE INDEX "runs_tenant_id_idempotency_key_key" ON "runs"("tenant_id", "idempotency_key");

-- AddForeignKey
ALTER TABLE "api_keys" ADD CONSTRAINT "api_keys_tenant_id_fkey" FOREIGN KEY ("tenant_id") REFERENCES "tenants"("id") ON DELETE CASCADE ON UPDATE RESTRICT;

-- AddForeignKey
ALTER TABLE "runs" ADD CONSTRAINT "runs_tenant_id_fkey" FOREIGN KEY ("tenant_id") REFERENCES "tenants"("id") ON DELETE CASCADE ON UPDATE RESTRICT;

-- AddForeignKey
ALTER TABLE "run_logs" ADD CONSTRAINT "run_logs_tenant_id_run_id_fkey" FOREIGN KEY ("tenant_id", "run_id") REFERENCES "runs"("tenant_id", "id") ON DELETE CASCADE ON UPDATE RESTRICT;

-- A run is final, ended and has its outcome, or it is none of these. (By hand: Prisma's schema has no CHECK.)
ALTER TABLE "runs" ADD CONSTRAINT "runs_final_is_whole" CHECK (
    ("state" IN ('queued', 'running')) = ("finished_at" IS NULL) AND ("finished_at" IS NULL) = ("outcome" IS NULL)
);
