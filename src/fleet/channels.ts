import type { Redis } from './redis';

/** Hears what is published: one connection, however many listen. */
export interface Channels {
  /** @returns stops it */
  on(channel: string, hear: (message: string) => void): Promise<() => void>;
  /** Calls back when all channels are heard again after an outage: what was published meanwhile was missed. */
  onBack(call: () => void): void;
  close(): void;
}

/** @param connection for nothing else; it is closed with the channels */
export function createChannels(connection: Redis): Channels {
  const listeners = new Map<string, Set<(message: string) => void>>();
  connection.on('message', (channel: string, message: string) => {
    for (const hear of listeners.get(channel) ?? []) hear(message);
  });
  const calls: (() => void)[] = [];
  let wasThere = false;
  connection.on('ready', () => {
    const isBack = wasThere;
    wasThere = true;
    if (!isBack || listeners.size === 0) return;
    const again = (): void => {
      for (const call of calls) call();
    };
    connection.subscribe(...listeners.keys()).then(again, () => {});
  });
  return {
    onBack: call => void calls.push(call),
    async on(channel, hear) {
      const all = listeners.get(channel) ?? new Set();
      listeners.set(channel, all.add(hear));
      if (all.size === 1) await connection.subscribe(channel);
      return () => {
        all.delete(hear);
        if (all.size > 0 || listeners.get(channel) !== all) return;
        listeners.delete(channel);
        connection.unsubscribe(channel).catch(() => {});
      };
    },
    close: () => connection.disconnect(),
  };
}

/** JSON of a message; nothing for what is none. */
export function heard(message: string): unknown {
  try {
    return JSON.parse(message);
  } catch {
    return undefined;
  }
}
