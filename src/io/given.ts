/** Fields of `T` that are always there, and those that may be missing or `undefined`. */
type Always<T> = { [K in keyof T as undefined extends T[K] ? never : K]: T[K] };
type Sometimes<T> = { [K in keyof T as undefined extends T[K] ? K : never]?: Exclude<T[K], undefined> };

/** `T` without `undefined` values: what may be spread over defaults, or handed to optional fields. */
export type Given<T> = Always<T> & Sometimes<T>;

/** The fields that are not `undefined`. */
export function given<T extends object>(fields: T): Given<T> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Given<T>;
}
