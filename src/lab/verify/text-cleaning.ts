import { cleanOpenSoraPrompt, cleanWanPrompt } from '../../text/cleaning';
import type { CaseRunner } from './golden-case';
import { codePoints, promptOutput, readCleaningCases } from './prompt-cases';

/** Runs a case of the group `text-cleaning`: every prompt, as each pipeline cleans it. */
export const runTextCleaning: CaseRunner = async (golden, produce) => {
  for (const [i, { text }] of (await readCleaningCases(golden.folder)).entries()) {
    const put = (what: string, result: string): void => produce(promptOutput(i, what), codePoints(result));
    put('wan', cleanWanPrompt(text));
    put('opensora', cleanOpenSoraPrompt(text));
    put('wan_without_ftfy', cleanWanPrompt(text, { fix: false }));
    put('opensora_without_ftfy', cleanOpenSoraPrompt(text, { fix: false }));
  }
};
