// Extracts whole objects through jsforce as its documentation does; one JSON line [object, row] per record.
// node jsforce_client.cjs HOME query|bulk2 < {"url", "client_id", "client_secret", "objects"}
const { createRequire } = require("node:module");
const { readFileSync } = require("node:fs");
const jsforce = createRequire(process.argv[2] + "/")("jsforce");

async function main() {
  const job = JSON.parse(readFileSync(0, "utf8"));
  const connection = new jsforce.Connection({
    oauth2: { loginUrl: job.url, clientId: job.client_id, clientSecret: job.client_secret },
    version: "62.0",
  });
  await connection.authorize({ grant_type: "client_credentials" });
  connection.bulk2.pollInterval = 200;
  for (const name of job.objects) {
    const fields = (await connection.sobject(name).describe()).fields.map((field) => field.name);
    const soql = `SELECT ${fields.join(", ")} FROM ${name}`;
    const show = (row) => {
      delete row.attributes;
      process.stdout.write(JSON.stringify([name, row]) + "\n");
    };
    if (process.argv[3] === "bulk2") {
      for await (const row of await connection.bulk2.query(soql, { scanAll: true })) show(row);
    } else {
      let page = await connection.query(soql, { scanAll: true });
      page.records.forEach(show);
      while (!page.done) {
        page = await connection.queryMore(page.nextRecordsUrl);
        page.records.forEach(show);
      }
    }
  }
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
