/** Solves a small system of equations by elimination with row exchange. */
export function solveLinear(rows: readonly (readonly number[])[], right: readonly number[]): number[] {
  const size = right.length;
  const m = rows.map((row, i) => [...row, right[i] as number]);
  for (let column = 0; column < size; column++) {
    let pivot = column;
    for (let row = column + 1; row < size; row++) {
      if (Math.abs(m[row]![column]!) > Math.abs(m[pivot]![column]!)) pivot = row;
    }
    [m[column], m[pivot]] = [m[pivot]!, m[column]!];
    for (let row = column + 1; row < size; row++) {
      const factor = m[row]![column]! / m[column]![column]!;
      for (let k = column; k <= size; k++) m[row]![k]! -= factor * m[column]![k]!;
    }
  }
  const solution = new Array<number>(size).fill(0);
  for (let row = size - 1; row >= 0; row--) {
    const known = m[row]!.slice(row + 1, size).reduce((sum, a, i) => sum + a * solution[row + 1 + i]!, 0);
    solution[row] = (m[row]![size]! - known) / m[row]![row]!;
  }
  return solution;
}
