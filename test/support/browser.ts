import { existsSync } from 'node:fs';

/** Chromium, where this machine has it. */
export const browser = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find(existsSync);
