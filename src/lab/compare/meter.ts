/** Counts forward passes of one pair against a plan. */
export interface Meter {
  /** Passes that have just been done in the running phase. */
  add(count: number): void;
  /**
   * Runs `work` as a phase of `planned` passes. When it is over, the plan has moved on by exactly that, whether it
   * took as many or not: plans for calibration are upper bounds.
   */
  phase<T>(planned: number, note: string, work: () => Promise<T>): Promise<T>;
}

export function meter(report: (done: number, note: string) => void): Meter {
  let before = 0;
  let inPhase = 0;
  let limit = Number.POSITIVE_INFINITY;
  let label = '';
  return {
    add(count) {
      inPhase += count;
      report(before + Math.min(inPhase, limit), label);
    },
    async phase(planned, note, work) {
      [inPhase, limit, label] = [0, planned, note];
      const result = await work();
      before += planned;
      [inPhase, limit] = [0, Number.POSITIVE_INFINITY];
      report(before, note);
      return result;
    },
  };
}
