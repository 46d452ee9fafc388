import { readFileSync } from 'node:fs';

/** Processor seconds of a process and of those that it has started and that still run. Linux. */
export function busySeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').filter(Boolean);
  return (
    (Number(fields[11]) + Number(fields[12])) / 100 + children.reduce((sum, each) => sum + busySeconds(Number(each)), 0)
  );
}
