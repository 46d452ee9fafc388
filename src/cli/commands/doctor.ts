import { Command } from 'commander';
import { type BackendReport, type DoctorReport, examineMachine } from '../../engine/doctor';
import { formatBytes } from '../../engine/memory';
import type { BackendRequest } from '../../engine/types';
import type { GlobalOptions } from '../global-options';

function backendLine(
  { kind, source, usable, onlyNamed, version, gflops, reason }: BackendReport,
  chosen: boolean,
): string {
  const state = usable ? `${version ?? ''}`.padEnd(10) : 'no';
  const speed = usable && gflops !== undefined ? `${gflops.toPrecision(3).padStart(6)} GFLOP/s` : `– ${reason ?? ''}`;
  const note = chosen ? '  <- used' : usable && onlyNamed ? `  only with --backend ${kind}` : '';
  return `  ${kind.padEnd(7)} ${source.padEnd(30)} ${state} ${speed}${note}`;
}

/** The report as aligned text. */
export function formatReport(report: DoctorReport): string {
  const { node, cpu, memory, gpus, wasm, backends, chosen, mend } = report;
  const gpu = gpus.map(({ name, driver, memoryMiB }) => `${name}, ${memoryMiB} MiB, driver ${driver}`).join('; ');
  const lines = [
    `Node         ${node.version} (${node.supported ? 'supported' : `not supported: ${node.range}`})`,
    `Machine      ${report.platform}, ${cpu.model}, ${cpu.threads} threads`,
    ...(cpu.features.length > 0 ? [`Vectors      ${cpu.features.join(' ')}`] : []),
    `Memory       ${formatBytes(memory.available)} available of ${formatBytes(memory.total)}`,
    `GPU          ${gpu || 'none that nvidia-smi knows'}`,
    `WebAssembly  ${wasm.simd ? 'SIMD' : 'no SIMD'}, ${wasm.threads} thread`,
    '',
    'Backends, in the order in which `auto` takes them (speed of a float32 matMul)',
    ...backends.map((backend, index) => backendLine(backend, index === chosen)),
  ];
  if (mend.length > 0) lines.push('', 'To fix', ...mend.map(line => `  ${line}`));
  return lines.join('\n');
}

/** `ertacache doctor`: what can run here, how fast, and what is missing. */
export function doctorCommand(): Command {
  return new Command('doctor')
    .option('--json', 'print it for programs')
    .action(async (options: { json?: boolean }, command: Command) => {
      const { backend } = command.optsWithGlobals<GlobalOptions>();
      const report = await examineMachine({ request: backend as BackendRequest });
      console.log(options.json ? JSON.stringify(report, null, 2) : formatReport(report));
      if (report.chosen === undefined) process.exitCode = 1;
    });
}
