/** What ertacache keeps inside a picture file, beside the pixels. */
export interface Embedded {
  /** The run's receipt: any JSON value. */
  receipt?: unknown;
  /** Frames and frames per second of an animation; WebP merges equal neighbours, and these bring them back. */
  frames?: number;
  fps?: number;
}

const NAMESPACE = 'urn:ertacache:1';

/** An XMP packet that carries `embedded`. Pure ASCII, so that no tool on the way can garble it. */
export function toXmp(embedded: Embedded): string {
  const fields = Object.entries(embedded)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `<erta:${name}>${toXml(JSON.stringify(value))}</erta:${name}>`);
  return [
    '<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?>',
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">',
    `<rdf:Description rdf:about="" xmlns:erta="${NAMESPACE}">`,
    ...fields,
    '</rdf:Description></rdf:RDF></x:xmpmeta>',
    '<?xpacket end="w"?>',
  ].join('\n');
}

/** The receipt in a packet, or undefined; throws a SyntaxError where there is one that is not JSON. */
export function receiptFromXmp(packet: string): unknown {
  const text = field(packet, 'receipt');
  return text === undefined ? undefined : JSON.parse(text);
}

/** How many frames an animation had when it was written, and at what rate; undefined where the packet is not ours. */
export function timingFromXmp(packet: string): { frames: number; fps: number } | undefined {
  const [frames, fps] = [Number(field(packet, 'frames')), Number(field(packet, 'fps'))];
  return Number.isInteger(frames) && frames > 0 && fps > 0 ? { frames, fps } : undefined;
}

/** Reads the attribute form too, into which other tools rewrite a packet. */
function field(packet: string, name: string): string | undefined {
  const found = new RegExp(`<erta:${name}>([^<]*)<|\\serta:${name}="([^"]*)"`).exec(packet);
  return found === null ? undefined : fromXml(found[1] ?? found[2] ?? '');
}

const ENTITIES: Readonly<Record<string, string>> = { '&': 'amp', '<': 'lt', '>': 'gt', '"': 'quot' };

/** A JSON text as XML text; what is not ASCII becomes JSON's own `\uXXXX`. */
function toXml(json: string): string {
  return json
    .replace(/[&<>"]/g, character => `&${ENTITIES[character]};`)
    .replace(/[^\x20-\x7e]/g, unit => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

function fromXml(text: string): string {
  return text
    .replace(/&#x([\da-f]+);/gi, (_, code: string) => String.fromCodePoint(Number.parseInt(code, 16)))
    .replace(/&#(\d+);/g, (_, code: string) => String.fromCodePoint(Number(code)))
    .replace(/&(lt|gt|quot|amp);/g, (_, name: string) => Object.keys(ENTITIES).find(c => ENTITIES[c] === name)!);
}
