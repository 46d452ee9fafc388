import type { Circumstances } from '../../lab/compare/begin';

/** As much of a browser's description of itself as is asked. */
interface Described {
  readonly userAgent: string;
  readonly hardwareConcurrency: number;
  /** Gigabytes, rounded; not every browser tells. */
  readonly deviceMemory?: number;
  readonly userAgentData?: {
    readonly platform: string;
    readonly brands: readonly { brand: string; version: string }[];
  };
}

/** What there is in place of Node, as far as a browser tells. */
export function thisBrowser(): Pick<Circumstances, 'machine' | 'node'> {
  const { userAgent, userAgentData, hardwareConcurrency, deviceMemory = 0 } = navigator as Described;
  const brand = userAgentData?.brands.find(({ brand }) => !/not/i.test(brand));
  return {
    machine: {
      cpu: userAgentData?.platform ? `a processor under ${userAgentData.platform}` : 'a processor',
      threads: hardwareConcurrency,
      gpus: [],
      memoryBytes: deviceMemory * 2 ** 30,
    },
    node: brand ? `${brand.brand} ${brand.version}` : userAgent,
  };
}
