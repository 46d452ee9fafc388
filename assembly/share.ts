/**
 * Where the share `part` of `parts` begins, of `all` things; it ends where the next one begins. Shares differ by one at most.
 * How work is shared out changes no digit of a result: nothing is summed across shares.
 */
@inline
export function share(all: usize, part: usize, parts: usize): usize {
  return (all / parts) * part + min(part, all % parts);
}
