import { Command } from 'commander';
import { ErtaError } from '../../errors';
import { findCases } from '../../lab/verify/load-case';
import { type CaseReport, verifyCase } from '../../lab/verify/verify';
import { type ComputeType, requireComputeType } from '../../nn/bfloat16';
import { startBackend } from '../backend';
import { dtypeOption } from '../dtype-option';
import { print } from '../say';

/** Exit code for a case that could not be run. */
const CANNOT_RUN = 2;

interface Failure {
  readonly folder: string;
  readonly failure: string;
}

/** `ertacache verify`: golden cases of the reference implementations, output by output. */
export function verifyCommand(): Command {
  return new Command('verify')
    .argument('<path...>', 'case folders, or folders of them')
    .option('--json', 'print one JSON array')
    .addOption(dtypeOption())
    .addHelpText(
      'after',
      '\nIn bfloat16, transformers and quantized checkpoints only, an output passes within 2 % of the float32 reference (relative RMS):' +
        '\nten times the rounding of one value, for some tens of products in a row.' +
        '\nExit code: 0 all within tolerance, 1 a miss, 2 a case that cannot be run.',
    )
    .action(async (paths: string[], options: { json?: boolean; dtype: ComputeType }, command: Command) => {
      const folders = (await Promise.all(paths.map(findCases))).flat();
      await startBackend(command);
      requireComputeType(options.dtype);
      const reports: (CaseReport | Failure)[] = [];
      for (const folder of folders) {
        const report = await verifyOrFail(folder, options.dtype);
        reports.push(report);
        if (!options.json) print('failure' in report ? `${folder}: ${report.failure}` : formatReport(report));
      }
      if (options.json) print(JSON.stringify(reports, null, 2));
      else print(summary(reports));
      if (reports.some(r => 'failure' in r)) process.exitCode = CANNOT_RUN;
      else if (reports.some(r => !(r as CaseReport).passed)) process.exitCode = 1;
    });
}

async function verifyOrFail(folder: string, dtype: ComputeType): Promise<CaseReport | Failure> {
  try {
    return await verifyCase(folder, { dtype });
  } catch (error) {
    if (ErtaError.isInstance(error)) return { folder, failure: error.message };
    // A case that nobody foresaw must not keep the others from being run.
    return { folder, failure: `unexpected failure: ${error instanceof Error ? error.message : String(error)}` };
  }
}

function formatReport(report: CaseReport): string {
  const width = Math.max(0, ...report.comparisons.map(c => c.name.length));
  const lines = report.comparisons.map(
    c =>
      `  ${c.passed ? 'ok  ' : 'MISS'} ${c.name.padEnd(width)}  ${c.measure ?? 'max abs error'} ${c.error.toExponential(2)}  tolerance ${c.tolerance.toExponential(2)}`,
  );
  const missing = report.unchecked.length > 0 ? ` (not checked: ${report.unchecked.join(', ')})` : '';
  return [report.case, ...lines, `  checked ${report.checked} of ${report.expected} outputs${missing}`].join('\n');
}

function summary(reports: readonly (CaseReport | Failure)[]): string {
  const passed = reports.filter(r => 'passed' in r && r.passed).length;
  return `${passed} of ${reports.length} cases passed`;
}
