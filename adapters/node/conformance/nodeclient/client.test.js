// What the Node.js client does with a node: it appends in batches, reads through its native reader, subscribes, and consumes
// persistent subscriptions. LIVENESS_CONFORMANCE_URL has the connection string.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, test } from "node:test";

import {
  BACKWARDS,
  END,
  KurrentDBClient,
  NO_STREAM,
  PARK,
  PersistentSubscriptionDoesNotExistError,
  PersistentSubscriptionExistsError,
  PersistentSubscriptionMaximumSubscribersReachedError,
  RETRY,
  START,
  STREAM_EXISTS,
  StreamDeletedError,
  StreamNotFoundError,
  WrongExpectedVersionError,
  binaryEvent,
  jsonEvent,
  persistentSubscriptionToAllSettingsFromDefaults,
  persistentSubscriptionToStreamSettingsFromDefaults,
  streamNameFilter,
} from "@kurrent/kurrentdb-client";

const client = KurrentDBClient.connectionString(process.env.LIVENESS_CONFORMANCE_URL);
after(() => client.dispose());

const options = { concurrency: true, timeout: 30_000 };

const newStream = () => `nodejs-${randomUUID()}`;
const newEvents = (count) =>
  Array.from({ length: count }, (_, number) =>
    jsonEvent({ type: "Tested", data: { number }, metadata: { $correlationId: "7" } }),
  );

async function filled(count) {
  const stream = newStream();
  const events = newEvents(count);
  await client.appendToStream(stream, events, { streamState: NO_STREAM });
  return { stream, events };
}

async function collect(events) {
  const found = [];
  for await (const event of events) found.push(event);
  return found;
}

// take receives that many events without ending the subscription.
function take(subscription, count) {
  return new Promise((resolve, reject) => {
    const found = [];
    const settle = (finish, value) => {
      subscription.off("data", onData);
      subscription.off("error", onError);
      subscription.pause();
      finish(value);
    };
    const onError = (error) => settle(reject, error);
    const onData = (event) => {
      found.push(event);
      if (found.length === count) settle(resolve, found);
    };
    subscription.on("data", onData);
    subscription.on("error", onError);
    subscription.resume();
  });
}

async function eventually(what, holds) {
  for (const end = Date.now() + 20_000; ; await new Promise((resolve) => setTimeout(resolve, 20))) {
    if (await holds()) return;
    assert.ok(Date.now() < end, `${what}: not so in time`);
  }
}

const revisions = (events) => events.map(({ link, event }) => (link ?? event).revision);

test("append", options, async (t) => {
  await t.test("a batch", async () => {
    const stream = newStream();
    const first = await client.appendToStream(stream, newEvents(3), { streamState: NO_STREAM });
    assert.equal(first.success, true);
    assert.equal(first.nextExpectedRevision, 2n);
    const second = await client.appendToStream(stream, newEvents(1), { streamState: 2n });
    assert.equal(second.nextExpectedRevision, 3n);
    assert.ok(second.position.commit > first.position.commit);
    await client.appendToStream(stream, newEvents(1), { streamState: STREAM_EXISTS });
  });
  await t.test("many at once", async () => {
    const stream = newStream();
    const results = await Promise.all(Array.from({ length: 100 }, () => client.appendToStream(stream, newEvents(2))));
    const numbers = results.map((result) => result.nextExpectedRevision).sort((a, b) => Number(a - b));
    assert.deepEqual(numbers, Array.from({ length: 100 }, (_, i) => BigInt(2 * i + 1)));
  });
  await t.test("more than one chunk", async () => {
    const stream = newStream();
    const events = Array.from({ length: 9 }, () => binaryEvent({ type: "Large", data: Buffer.alloc(100_000, 7) }));
    const result = await client.appendToStream(stream, events, { batchAppendSize: 256 * 1024 });
    assert.equal(result.nextExpectedRevision, 8n);
    const [{ event }] = await collect(client.readStream(stream, { maxCount: 1 }));
    assert.deepEqual(Buffer.from(event.data), Buffer.alloc(100_000, 7));
  });
  await t.test("again, answered as the first time", async () => {
    const stream = newStream();
    const events = newEvents(2);
    const first = await client.appendToStream(stream, events, { streamState: NO_STREAM });
    const again = await client.appendToStream(stream, events, { streamState: NO_STREAM });
    assert.deepEqual([again.nextExpectedRevision, again.position.commit], [first.nextExpectedRevision, first.position.commit]);
  });
  await t.test("at the wrong revision", async () => {
    const { stream } = await filled(2);
    await assert.rejects(client.appendToStream(stream, newEvents(1), { streamState: NO_STREAM }), (error) => {
      assert.ok(error instanceof WrongExpectedVersionError);
      assert.equal(error.streamName, stream);
      assert.equal(error.actualState, 1n);
      return true;
    });
  });
});

test("read", options, async (t) => {
  await t.test("a stream in both directions", async () => {
    const { stream, events } = await filled(5);
    const forwards = await collect(client.readStream(stream));
    assert.deepEqual(forwards.map(({ event }) => event.id), events.map(({ id }) => id));
    assert.deepEqual(forwards[3].event.data, { number: 3 });
    assert.deepEqual(forwards[3].event.metadata, { $correlationId: "7" });
    assert.ok(Math.abs(forwards[0].event.created - Date.now()) < 3_600_000);
    const backwards = await collect(client.readStream(stream, { direction: BACKWARDS, fromRevision: END, maxCount: 2 }));
    assert.deepEqual(revisions(backwards), [4n, 3n]);
    assert.deepEqual(revisions(await collect(client.readStream(stream, { fromRevision: 3n }))), [3n, 4n]);
  });
  await t.test("$all from a position", async () => {
    const { stream, events } = await filled(3);
    const [first] = await collect(client.readStream(stream, { maxCount: 1 }));
    const all = await collect(client.readAll({ fromPosition: first.event.position, maxCount: 100 }));
    assert.deepEqual(all.filter(({ event }) => event.streamId === stream).map(({ event }) => event.id), events.map(({ id }) => id));
  });
  await t.test("a stream that is not there", async () => {
    await assert.rejects(collect(client.readStream(newStream())), StreamNotFoundError);
  });
  await t.test("a tombstoned stream", async () => {
    const { stream } = await filled(1);
    await client.tombstoneStream(stream);
    await assert.rejects(collect(client.readStream(stream)), StreamDeletedError);
    await assert.rejects(client.appendToStream(stream, newEvents(1)), StreamDeletedError);
  });
  await t.test("metadata", async () => {
    const { stream } = await filled(5);
    assert.equal((await client.getStreamMetadata(stream)).metadata, undefined);
    await client.setStreamMetadata(stream, { maxCount: 2, own: "value" });
    assert.deepEqual((await client.getStreamMetadata(stream)).metadata, { maxCount: 2, own: "value" });
    assert.deepEqual(revisions(await collect(client.readStream(stream))), [3n, 4n]);
  });
  await t.test("a deleted stream", async () => {
    const { stream } = await filled(2);
    await assert.rejects(client.deleteStream(stream, { expectedRevision: 7n }), WrongExpectedVersionError);
    await client.deleteStream(stream);
    await assert.rejects(collect(client.readStream(stream)), StreamNotFoundError);
    await client.appendToStream(stream, newEvents(1));
    assert.deepEqual(revisions(await collect(client.readStream(stream))), [2n]);
  });
});

test("subscribe", options, async (t) => {
  await t.test("to a stream, through its history into the present", async () => {
    const { stream } = await filled(3);
    const subscription = client.subscribeToStream(stream);
    const caughtUp = new Promise((resolve) => subscription.once("caughtUp", resolve));
    assert.deepEqual(revisions(await take(subscription, 3)), [0n, 1n, 2n]);
    subscription.resume();
    await caughtUp;
    const live = take(subscription, 2);
    await client.appendToStream(stream, newEvents(2));
    assert.deepEqual(revisions(await live), [3n, 4n]);
    await subscription.unsubscribe();
  });
  await t.test("to $all with a filter", async () => {
    const prefix = newStream();
    let checkpoints = 0;
    const filter = streamNameFilter({ prefixes: [prefix], checkpointInterval: 1, checkpointReached: async () => { checkpoints++; } });
    const subscription = client.subscribeToAll({ fromPosition: START, filter });
    const events = take(subscription, 2);
    await client.appendToStream(`${prefix}-1`, newEvents(1));
    await filled(40);
    await client.appendToStream(`${prefix}-2`, newEvents(1));
    assert.deepEqual((await events).map(({ event }) => event.streamId), [`${prefix}-1`, `${prefix}-2`]);
    subscription.resume();
    await eventually("checkpoints", () => checkpoints > 0);
    await subscription.unsubscribe();
  });
});

test("persistent subscription", options, async (t) => {
  const group = "a group/of ours";
  await t.test("to a stream: consume, retry, park and replay", async () => {
    const { stream } = await filled(3);
    await client.createPersistentSubscriptionToStream(
      stream,
      group,
      persistentSubscriptionToStreamSettingsFromDefaults({ startFrom: START, checkPointLowerBound: 1, checkPointUpperBound: 1 }),
    );
    const subscription = client.subscribeToPersistentSubscriptionToStream(stream, group, { bufferSize: 3 });
    const [one, two, three] = await take(subscription, 3);
    assert.deepEqual([one, two, three].map(({ event, retryCount }) => [event.revision, retryCount]), [[0n, 0], [1n, 0], [2n, 0]]);
    await subscription.ack(one);
    const again = take(subscription, 1);
    await subscription.nack(RETRY, "once more", two);
    const [retried] = await again;
    assert.deepEqual([retried.event.revision, retried.retryCount], [1n, 1]);
    await subscription.ack(retried);
    await subscription.nack(PARK, "broken", three);
    const info = () => client.getPersistentSubscriptionToStreamInfo(stream, group);
    await eventually("parked", async () => (await info()).stats.parkedMessageCount === 1n);
    const replayed = take(subscription, 1);
    await client.replayParkedMessagesToStream(stream, group);
    const [back] = await replayed;
    assert.equal(back.event.id, three.event.id);
    await subscription.ack(back);
    await eventually("all done", async () => {
      const { stats } = await info();
      return stats.parkedMessageCount === 0n && stats.totalInFlightMessages === 0 && stats.lastCheckpointedEventRevision === 2n;
    });
    const described = await info();
    assert.equal(described.eventSource, stream);
    assert.equal(described.groupName, group);
    assert.equal(described.settings.startFrom, START);
    assert.equal(described.connections.length, 1);
    assert.equal(described.connections[0].availableSlots, 3);
    await subscription.unsubscribe();
    await client.deletePersistentSubscriptionToStream(stream, group);
  });
  await t.test("to $all with a filter", async () => {
    const prefix = newStream();
    const name = randomUUID();
    await client.createPersistentSubscriptionToAll(name, persistentSubscriptionToAllSettingsFromDefaults({ startFrom: START }), {
      filter: streamNameFilter({ prefixes: [prefix] }),
    });
    const subscription = client.subscribeToPersistentSubscriptionToAll(name);
    const events = take(subscription, 2);
    await client.appendToStream(`${prefix}-1`, newEvents(2));
    for (const event of await events) {
      assert.equal(event.event.streamId, `${prefix}-1`);
      assert.equal(event.commitPosition, event.event.position.commit);
      await subscription.ack(event);
    }
    assert.equal((await client.getPersistentSubscriptionToAllInfo(name)).settings.startFrom, START);
    const listed = await client.listPersistentSubscriptionsToAll();
    assert.ok(listed.some(({ groupName }) => groupName === name));
    await subscription.unsubscribe();
    await client.deletePersistentSubscriptionToAll(name);
  });
  await t.test("administration", async () => {
    const stream = newStream();
    const settings = persistentSubscriptionToStreamSettingsFromDefaults({ startFrom: 5n, maxSubscriberCount: 1 });
    await client.createPersistentSubscriptionToStream(stream, group, settings);
    await assert.rejects(client.createPersistentSubscriptionToStream(stream, group, settings), PersistentSubscriptionExistsError);
    assert.deepEqual((await client.getPersistentSubscriptionToStreamInfo(stream, group)).settings, settings);
    const subscription = client.subscribeToPersistentSubscriptionToStream(stream, group);
    await new Promise((resolve, reject) => subscription.once("confirmation", resolve).once("error", reject));
    const second = client.subscribeToPersistentSubscriptionToStream(stream, group);
    await assert.rejects(take(second, 1), PersistentSubscriptionMaximumSubscribersReachedError);
    await subscription.unsubscribe();
    const changed = { ...settings, maxRetryCount: 3, startFrom: END };
    await client.updatePersistentSubscriptionToStream(stream, group, changed);
    assert.deepEqual((await client.getPersistentSubscriptionToStreamInfo(stream, group)).settings, changed);
    assert.equal((await client.listPersistentSubscriptionsToStream(stream)).length, 1);
    assert.ok((await client.listAllPersistentSubscriptions()).some(({ eventSource }) => eventSource === stream));
    await client.deletePersistentSubscriptionToStream(stream, group);
    await assert.rejects(client.deletePersistentSubscriptionToStream(stream, group), PersistentSubscriptionDoesNotExistError);
    await assert.rejects(take(client.subscribeToPersistentSubscriptionToStream(stream, group), 1), PersistentSubscriptionDoesNotExistError);
    await assert.rejects(client.getPersistentSubscriptionToStreamInfo(stream, group), PersistentSubscriptionDoesNotExistError);
  });
});
