import { USUAL_CONFIDENCE } from '../cache/bound';
import type { Guarantee } from './budget';

/**
 * What pictures have to keep, as people write it, such as `40dB@90%`.
 * @param text decibels, and a confidence in percent; 90 % where none is given
 * @returns nothing where it says no such thing
 */
export function guaranteeOf(text: string): Guarantee | undefined {
  const found = /^(\d+(?:\.\d+)?) ?dB(?:@(\d+(?:\.\d+)?)%)?$/i.exec(text.trim());
  const [psnr, confidence] = [Number(found?.[1]), found?.[2] ? Number(found[2]) / 100 : USUAL_CONFIDENCE];
  return psnr <= 100 && confidence > 0 && confidence < 1 ? { psnr, confidence } : undefined;
}
