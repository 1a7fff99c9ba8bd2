// npm run render: writes deploy/install.yaml and deploy/service-accounts.yaml from the chart.
import { writeFile } from "node:fs/promises";
import { createHelm } from "./helm.ts";
import { ATTACHMENT_MANIFEST, INSTALL_MANIFEST } from "./install-manifest.ts";
import { renderAttachment, renderManifest } from "./render-manifest.ts";

const helm = await createHelm();
await writeFile(INSTALL_MANIFEST, await renderManifest(helm));
await writeFile(ATTACHMENT_MANIFEST, await renderAttachment(helm));
