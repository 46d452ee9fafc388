/*
 * What the command line says. Prompts, names in files and receipts come from outside: none of them may steer the
 * terminal.
 */
import { visible } from '../text/visible';

/** To stdout: what a command was asked for. */
export function print(text: string): void {
  console.log(visible(text, { multiline: true }));
}

/** To stderr: what should be known beside it. The text ends with its line break. */
export function tell(text: string): void {
  process.stderr.write(visible(text, { multiline: true }));
}
