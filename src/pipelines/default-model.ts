/** The model that is used when none is named; it ships with the package. */
export const DEFAULT_MODEL = 'fluent-emoji';
