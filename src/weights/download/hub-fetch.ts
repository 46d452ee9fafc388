import { UsageError } from '../../errors';

/** Variables that name a proxy, the lower case first, as other programs read them. */
const PROXIES = ['https_proxy', 'HTTPS_PROXY', 'http_proxy', 'HTTP_PROXY', 'all_proxy', 'ALL_PROXY'];

/**
 * `fetch` through the proxy that HTTPS_PROXY or HTTP_PROXY names, except for the hosts in NO_PROXY; undefined where
 * neither is set. Node's own `fetch` looks at none of them.
 * @throws UsageError for a proxy that is no address
 */
export async function proxiedFetch(env: NodeJS.ProcessEnv = process.env): Promise<typeof fetch | undefined> {
  const name = PROXIES.find(variable => env[variable]);
  if (name === undefined) return undefined;
  const all = env.all_proxy || env.ALL_PROXY;
  const httpProxy = env.http_proxy || env.HTTP_PROXY || all;
  const httpsProxy = env.https_proxy || env.HTTPS_PROXY || all;
  for (const proxy of [httpProxy, httpsProxy]) if (proxy) requireAddress(proxy, name);
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

function requireAddress(proxy: string, name: string): void {
  if (URL.canParse(proxy) && /^(https?|socks5?):$/.test(new URL(proxy).protocol)) return;
  throw new UsageError(`${name} is no address of a proxy.`, { hint: 'Write it whole, such as http://proxy:3128.' });
}
