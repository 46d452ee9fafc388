import type { Context, ErrorHandler } from 'hono';
import { HTTPException } from 'hono/http-exception';
import { ErtaError } from '../../errors';
import { faultOf, INVALID_IMAGE, Refusal, type RefusalStatus, statusOf } from '../jobs/faults';
import type { Job } from '../jobs/job';
import type { Log } from '../log';
import { errorAnswer } from './answers';
import type { Env } from './context';

/** Whatever was thrown, as the interface has errors. What is nobody's fault outside goes into the log, not out. */
export function onError(log: Log): ErrorHandler<Env> {
  return (error, c) => {
    if (error instanceof Refusal) return refusalAnswer(c, error);
    if (error instanceof HTTPException && error.status < 500) {
      return c.json(errorAnswer(error.status, { code: 'bad_request', message: error.message }), error.status);
    }
    const fault = faultOf(error);
    const status = ErtaError.isInstance(error) ? statusOf(fault.code) : 500;
    if (status >= 500 && !c.req.raw.signal.aborted) {
      log.error({ id: c.get('requestId'), error: error.stack ?? String(error) }, 'request failed');
    }
    return c.json(errorAnswer(status, fault), status);
  };
}

function refusalAnswer(c: Context, { status, code, message, more }: Refusal): Response {
  if (more.retryAfter !== undefined) c.header('retry-after', String(more.retryAfter));
  return c.json(errorAnswer(status, { code, message }, more.param), status);
}

/** Why a job did not come to its end. @throws never */
export function jobFault(job: Job): { readonly status: RefusalStatus; readonly body: ReturnType<typeof errorAnswer> } {
  const fault = job.error ?? { code: 'internal', message: 'The job failed.' };
  const status = statusOf(fault.code);
  const param = fault.code === INVALID_IMAGE ? 'image' : undefined;
  return { status, body: errorAnswer(status, fault, param) };
}
