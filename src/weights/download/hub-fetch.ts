import { UsageError } from '../../errors';

/** For what no other variable names a proxy. The lower case goes first, as other programs read them. */
const ALL = ['all_proxy', 'ALL_PROXY'];

/**
 * `fetch` through the proxy that HTTPS_PROXY or HTTP_PROXY names, except for the hosts in NO_PROXY; undefined where
 * neither is set. Node's own `fetch` looks at none of them.
 * @throws UsageError for a proxy that is no address
 */
export async function proxiedFetch(env: NodeJS.ProcessEnv = process.env): Promise<typeof fetch | undefined> {
  const httpProxy = proxyOf(env, ['http_proxy', 'HTTP_PROXY', ...ALL]);
  const httpsProxy = proxyOf(env, ['https_proxy', 'HTTPS_PROXY', ...ALL]);
  if (!httpProxy && !httpsProxy) return undefined;
  const { EnvHttpProxyAgent, fetch: proxied } = await import('undici');
  const dispatcher = new EnvHttpProxyAgent({
    ...(httpProxy && { httpProxy }),
    ...(httpsProxy && { httpsProxy }),
    noProxy: env.no_proxy ?? env.NO_PROXY ?? '',
    // Proxies take plain HTTP as it is; a tunnel they grant to port 443 alone.
    proxyTunnel: false,
  });
  // Both are the fetch of the standard, told apart by their declarations alone.
  return ((url: string, init?: object) => proxied(url, { ...init, dispatcher })) as unknown as typeof fetch;
}

/** The proxy that the first of these variables names which is set. @throws UsageError */
function proxyOf(env: NodeJS.ProcessEnv, names: readonly string[]): string | undefined {
  const name = names.find(variable => env[variable]);
  const proxy = name && env[name];
  if (!proxy || (URL.canParse(proxy) && /^(https?|socks5?):$/.test(new URL(proxy).protocol))) return proxy;
  throw new UsageError(`${name} is no address of a proxy.`, { hint: 'Write it whole, such as http://proxy:3128.' });
}
