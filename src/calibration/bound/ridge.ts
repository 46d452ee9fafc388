import { CholeskyDecomposition, Matrix } from 'ml-matrix';
import { mean, standardDeviation } from '../../metrics/statistics';

/** A linear model of a value. */
export interface Linear {
  readonly base: number;
  /** One for each column. */
  readonly weights: readonly number[];
  /** Mean square of the errors that rows have when the model is fitted on all others, and the variance of the values. */
  readonly errors: { readonly left: number; readonly before: number };
}

/** Penalties that are tried, each for a column that is scaled to a variance of 1. */
const PENALTIES = [0.3, 1, 3, 10, 30, 100, 300, 1000];

/**
 * Ridge regression with the penalty that predicts rows best which were left out of the fit, each by itself. Columns
 * that do not vary get no weight.
 * @param rows the variables, one list for each value
 */
export function ridge(rows: readonly (readonly number[])[], values: readonly number[]): Linear {
  const width = rows[0]?.length ?? 0;
  const columns = Array.from({ length: width }, (_, c) => rows.map(row => row[c] as number));
  const centres = columns.map(mean);
  const spreads = columns.map(standardDeviation);
  const varying = spreads.flatMap((spread, c) => (spread > 0 ? [c] : []));
  const centre = mean(values);
  const before = mean(values.map(value => (value - centre) ** 2));
  const none = { base: centre, weights: columns.map(() => 0), errors: { left: before, before } };
  if (varying.length === 0) return none;
  const scaled = new Matrix(
    rows.map(row => varying.map(c => ((row[c] as number) - (centres[c] as number)) / (spreads[c] as number))),
  );
  const right = Matrix.columnVector(values.map(value => value - centre));
  const transposed = scaled.transpose();
  const gram = transposed.mmul(scaled);
  const moment = transposed.mmul(right);
  let best: { readonly left: number; readonly solution: readonly number[] } = { left: before, solution: [] };
  for (const penalty of PENALTIES) {
    const solver = new CholeskyDecomposition(Matrix.add(gram, Matrix.eye(gram.rows).mul(penalty)));
    const solution = solver.solve(moment);
    const residuals = Matrix.sub(right, scaled.mmul(solution)).to1DArray();
    const spread = solver.solve(transposed);
    const left = mean(
      residuals.map((residual, row) => {
        // What a row has of its own prediction, its share of the mean included.
        const own = scaled.getRowVector(row).mmul(spread.getColumnVector(row)).get(0, 0) + 1 / rows.length;
        return (residual / (1 - own)) ** 2;
      }),
    );
    if (left < best.left) best = { left, solution: solution.to1DArray() };
  }
  if (best.solution.length === 0) return none;
  const weights = columns.map((_, c) => {
    const place = varying.indexOf(c);
    return place < 0 ? 0 : (best.solution[place] as number) / (spreads[c] as number);
  });
  const base = centre - weights.reduce((sum, weight, c) => sum + weight * (centres[c] as number), 0);
  return { base, weights, errors: { left: best.left, before } };
}
