/** Budgets that are shown at length; the charts and the table have all. */
const MOST = 4;

/** At most four of the budgets, evenly spread, the first and the last among them. */
export function fewBudgets(budgets: readonly number[]): number[] {
  if (budgets.length <= MOST) return [...budgets];
  return Array.from({ length: MOST }, (_, i) => budgets[Math.round((i * (budgets.length - 1)) / (MOST - 1))] as number);
}
