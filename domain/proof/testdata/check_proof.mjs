// Checks the proof of a month without anything of the program that made it: node check_proof.mjs FILE [VERIFIER-KEY]
import { createHash, createPublicKey, verify } from "node:crypto";
import { readFileSync } from "node:fs";

const sha256 = (...parts) => parts.reduce((h, p) => h.update(p), createHash("sha256")).digest();
const leafHash = (data) => sha256(Buffer.of(0), data);
const nodeHash = (left, right) => sha256(Buffer.of(1), left, right);
const bytes = (base64) => Buffer.from(base64, "base64");

const problems = [];
const expect = (ok, problem) => { if (!ok) problems.push(problem); };

// A verifier key is name+hash+base64(1, public key); a note is a text, an empty line, and "— name base64(hash, signature)".
function keyOf(text) {
  const [name, , ...rest] = text.split("+");
  const key = bytes(rest.join("+"));
  const der = Buffer.concat([Buffer.from("302a300506032b6570032100", "hex"), key.subarray(1)]);
  return { name, hash: sha256(name, "\n", key).subarray(0, 4), key: createPublicKey({ key: der, format: "der", type: "spki" }) };
}
function openNote(note, keys) {
  const end = note.lastIndexOf("\n\n");
  const text = note.slice(0, end + 1);
  const signed = note.slice(end + 2).split("\n").some((line) => {
    const [, name, blob] = line.match(/^— (\S+) (\S+)$/) ?? [];
    return blob && keys.some((k) => k.name === name && k.hash.equals(bytes(blob).subarray(0, 4)) &&
      verify(null, Buffer.from(text), k.key, bytes(blob).subarray(4)));
  });
  return signed ? text : null;
}
function openCheckpoint(note, keys) {
  const [origin, size, root] = openNote(note, keys)?.split("\n") ?? [];
  return origin && { origin, size: Number(size), root: bytes(root) };
}

// RFC 9162, 2.1.3.2
function includes(size, root, index, leaf, proof) {
  let fn = index, sn = size - 1, r = leaf;
  for (const p of proof) {
    if (sn === 0) return false;
    if (fn % 2 === 1 || fn === sn) {
      r = nodeHash(p, r);
      while (fn % 2 === 0 && fn !== 0) { fn = Math.floor(fn / 2); sn = Math.floor(sn / 2); }
    } else {
      r = nodeHash(r, p);
    }
    fn = Math.floor(fn / 2);
    sn = Math.floor(sn / 2);
  }
  return sn === 0 && r.equals(root);
}

// RFC 9162, 2.1.4.2
function continues(size, root, oldSize, oldRoot, proof) {
  if (oldSize === size) return proof.length === 0 && root.equals(oldRoot);
  const path = Number.isInteger(Math.log2(oldSize)) ? [oldRoot, ...proof] : [...proof];
  let fn = oldSize - 1, sn = size - 1;
  while (fn % 2 === 1) { fn = Math.floor(fn / 2); sn = Math.floor(sn / 2); }
  let fr = path[0], sr = path[0];
  for (const c of path.slice(1)) {
    if (sn === 0) return false;
    if (fn % 2 === 1 || fn === sn) {
      fr = nodeHash(c, fr);
      sr = nodeHash(c, sr);
      while (fn % 2 === 0 && fn !== 0) { fn = Math.floor(fn / 2); sn = Math.floor(sn / 2); }
    } else {
      sr = nodeHash(sr, c);
    }
    fn = Math.floor(fn / 2);
    sn = Math.floor(sn / 2);
  }
  return sn === 0 && fr.equals(oldRoot) && sr.equals(root);
}

function canonical(e) {
  const data = Buffer.from(e.data), metadata = Buffer.from(e.metadata);
  return Buffer.concat([Buffer.from(`liveness-event/1\n${e.type}\n${e.stream}\n${e.revision}\n${e.id}\n${data.length}\n`), data,
    Buffer.from(`${metadata.length}\n`), metadata]);
}

const file = readFileSync(process.argv[2]);
const lines = file.toString().trimEnd().split("\n").map((line) => JSON.parse(line));
const all = (kind) => lines.filter((line) => line.kind === kind);
const [header] = all("proof"), [month] = all("month"), [statement] = all("statement"), events = all("event");
const keys = (process.argv[3] ? [process.argv[3]] : all("key").map((k) => k.key)).map(keyOf);
const tree = openCheckpoint(all("checkpoint")[0].note, keys);
if (!tree) { console.log("the checkpoint is not signed by a known key"); process.exit(3); }

for (const earlier of all("earlier")) {
  const old = openCheckpoint(earlier.note, keys);
  expect(old && continues(tree.size, tree.root, old.size, old.root, earlier.proof.map(bytes)), `not a continuation of ${old?.size} leaves`);
}
for (const e of events) {
  expect(includes(tree.size, tree.root, e.index, leafHash(canonical(e)), e.proof.map(bytes)), `${e.stream}@${e.revision} is not leaf ${e.index}`);
}
for (const s of header.streams) {
  const revisions = events.filter((e) => e.stream === s.stream).map((e) => e.revision);
  expect(revisions.length === s.events && revisions.every((r, i) => r === (s.from ?? 0) + i), `${s.stream} is not whole`);
}
const calls = events.filter((e) => e.type === "CheckCompleted").map((e) => JSON.parse(e.data));
const overage = calls.filter((c) => c.ordinal > c.limit).length;
expect(calls.every((c, i) => c.ordinal === i + 1 && (c.billing === "overage") === (c.ordinal > c.limit)), "the calls are not counted one by one");
expect(calls.length === month.counted && overage === month.overage, `${calls.length} calls, ${overage} beyond the plan; the file says ${month.counted}, ${month.overage}`);
const records = events.filter((e) => e.type === "UsageRecordAccepted").map((e) => JSON.parse(e.data));
// The next month's first hour is in the file when it holds a call that was decided before midnight: it is the next month's.
const accepted = records.filter((r) => r.hour.startsWith(header.month)).reduce((sum, r) => sum + r.quantity, 0);
expect(accepted === month.accepted, `AWS accepted ${accepted}; the file says ${month.accepted}`);
const before = file.subarray(0, file.lastIndexOf('{"kind":"statement"'));
expect(openNote(statement.note, keys) === `liveness-proof/1\ncustomer ${header.customerId}\nmonth ${header.month}\n` +
  `tree ${tree.size} ${tree.root.toString("base64")}\nevents ${events.length}\nsha256 ${sha256(before).toString("hex")}\n`, "the file was changed after it was signed");

for (const problem of problems) console.log(problem);
if (problems.length > 0) process.exit(3);
console.log(`${header.month}: ${calls.length} calls, ${overage} beyond the plan, ${accepted} accepted by AWS, in a tree of ${tree.size} leaves`);
