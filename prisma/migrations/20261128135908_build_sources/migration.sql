-- CreateTable
CREATE TABLE "build_sources" (
    "id" TEXT NOT NULL,
    "tenant_id" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "hook" TEXT NOT NULL,
    "spec" BYTEA NOT NULL,
    "sealed_values" BYTEA NOT NULL,
    "sealed_secret" BYTEA NOT NULL,
    "revision" INTEGER NOT NULL DEFAULT 1,
    "created_at" TIMESTAMPTZ(3) NOT NULL,
    "last_delivery_at" TIMESTAMPTZ(3),
    "last_build_id" TEXT,

    CONSTRAINT "build_sources_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "build_deliveries" (
    "id" TEXT NOT NULL,
    "tenant_id" TEXT NOT NULL,
    "source_id" TEXT NOT NULL,
    "key" TEXT NOT NULL,
    "digest" BYTEA,
    "event" TEXT NOT NULL,
    "ref" TEXT,
    "commit" TEXT,
    "state" TEXT NOT NULL,
    "reason" TEXT,
    "build_id" TEXT,
    "received_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "build_deliveries_pkey" PRIMARY KEY ("id")
);

-- CreateIndex
CREATE UNIQUE INDEX "build_sources_hook_key" ON "build_sources"("hook");

-- CreateIndex
CREATE UNIQUE INDEX "build_sources_tenant_id_id_key" ON "build_sources"("tenant_id", "id");

-- CreateIndex
CREATE UNIQUE INDEX "build_sources_tenant_id_name_key" ON "build_sources"("tenant_id", "name");

-- CreateIndex
CREATE INDEX "build_deliveries_tenant_id_source_id_id_idx" ON "build_deliveries"("tenant_id", "source_id", "id");

-- CreateIndex
CREATE UNIQUE INDEX "build_deliveries_source_id_key_key" ON "build_deliveries"("source_id", "key");

-- CreateIndex
CREATE UNIQUE INDEX "build_deliveries_source_id_digest_key" ON "build_deliveries"("source_id", "digest");

-- AddForeignKey
ALTER TABLE "build_sources" ADD CONSTRAINT "build_sources_tenant_id_fkey" FOREIGN KEY ("tenant_id") REFERENCES "tenants"("id") ON DELETE CASCADE ON UPDATE RESTRICT;

-- AddForeignKey
ALTER TABLE "build_deliveries" ADD CONSTRAINT "build_deliveries_tenant_id_source_id_fkey" FOREIGN KEY ("tenant_id", "source_id") REFERENCES "build_sources"("tenant_id", "id") ON DELETE CASCADE ON UPDATE RESTRICT;
