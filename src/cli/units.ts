import { InvalidArgumentError, Option } from 'commander';
import { ErtaError } from '../errors';
import { byteSize, duration } from '../server/units';

/** An option that may be given several times. */
export const several = (value: string, all: readonly string[]): string[] => [...all, value];

/** An option such as `--keep 7d`; milliseconds. */
export const durationOption = (flags: string, text: string, usual: string): Option =>
  unit(flags, text, duration, usual);

/** An option such as `--max-disk 10GB`; bytes. */
export const sizeOption = (flags: string, text: string, usual: string): Option => unit(flags, text, byteSize, usual);

/** An option with a unit, checked as it is read. */
function unit(flags: string, text: string, parse: (text: string) => number, usual: string): Option {
  const parser = (value: string): number => {
    try {
      return parse(value);
    } catch (error) {
      if (!ErtaError.isInstance(error)) throw error;
      throw new InvalidArgumentError(error.message);
    }
  };
  return new Option(flags, text).argParser(parser).default(parse(usual), usual);
}
