// npm run render: writes deploy/install.yaml from the chart.
import { writeFile } from "node:fs/promises";
import { createHelm } from "./helm.ts";
import { INSTALL_MANIFEST } from "./install-manifest.ts";
import { renderManifest } from "./render-manifest.ts";

await writeFile(INSTALL_MANIFEST, await renderManifest(await createHelm()));
