import { type Scope, serve } from './serve';

serve(globalThis as unknown as Scope);
