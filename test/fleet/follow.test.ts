import { setTimeout as wait } from 'node:timers/promises';
import { createFollower } from '../../src/fleet/follow';
import type { Over } from '../../src/fleet/job';
import type { FleetQueue } from '../../src/fleet/queue';

/** A queue in which nothing is known of any job. */
const empty = {
  channels: { on: async () => () => {} },
  state: async () => 'unknown',
} as unknown as FleetQueue;

test('a job that is still being added is not taken for one that was removed', async () => {
  jest.useFakeTimers({ doNotFake: ['setImmediate', 'setTimeout'] });
  const follower = await createFollower(empty);
  const ended: Over[] = [];
  let added = (): void => {};
  const adding = new Promise<void>(resolve => {
    added = resolve;
  });
  follower.follow('tiny', 'a', adding, over => ended.push(over));
  await jest.advanceTimersByTimeAsync(10_000);
  expect(ended).toEqual([]);
  added();
  await wait(0);
  await jest.advanceTimersByTimeAsync(10_000);
  expect(ended).toMatchObject([{ id: 'a', state: 'cancelled' }]);
  follower.close();
  jest.useRealTimers();
});
