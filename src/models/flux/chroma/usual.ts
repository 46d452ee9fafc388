import type { UsualRun } from '../../family';

/** What `ChromaPipeline` of diffusers takes unless asked. */
export const CHROMA_RUN: UsualRun = { steps: 35, guidance: 5 };
