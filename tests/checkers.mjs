// What checkers that live in Node say about mails and pages: JSON in on stdin, JSON out on stdout.
// In: {"validate": {name: html}, "support": {name: html}, "parse": [mail in base64]}.
import { readFileSync } from "node:fs";
import { caniemail } from "caniemail";
import { HtmlValidate } from "html-validate";
import PostalMime from "postal-mime";

// Mails are written for programs of 2007: tables with attributes, styles inlined, words for Outlook. Their
// titles are subjects, and no search engine's business.
const MAIL = {
  "no-inline-style": "off",
  "no-conditional-comment": "off",
  "no-deprecated-attr": "off",
  "long-title": "off",
};
const CLIENTS = ["gmail.*", "apple-mail.*", "outlook.*", "yahoo.*"];

const asked = JSON.parse(readFileSync(0, "utf8"));
const said = { validate: [], support: {}, parse: [] };

for (const [name, html] of Object.entries(asked.validate ?? {})) {
  const rules = name.startsWith("mail ") ? MAIL : {};
  const checker = new HtmlValidate({ root: true, extends: ["html-validate:recommended"], rules });
  const report = await checker.validateString(html);
  for (const { messages } of report.results)
    for (const { ruleId, message, line } of messages)
      said.validate.push(`${name}, line ${line}: ${ruleId}: ${message}`);
}
for (const html of Object.values(asked.support ?? {})) {
  const { issues } = caniemail({ html, clients: CLIENTS });
  for (const [client, features] of issues.errors)
    for (const { title } of features) (said.support[title] ??= {})[client] = true;
}
for (const mail of asked.parse ?? []) {
  const { headers, subject, from, to, text, html } = await PostalMime.parse(Buffer.from(mail, "base64"));
  const unsubscribe = headers.find(({ key }) => key === "list-unsubscribe")?.value;
  said.parse.push({ subject, from: [from.name, from.address], to: to[0].address, unsubscribe, text, html });
}
console.log(JSON.stringify(said));
