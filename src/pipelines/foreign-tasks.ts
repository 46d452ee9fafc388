/**
 * Published pipelines of other tasks, by the class that `model_index.json` names. Their transformers are of classes
 * that ertacache runs, so that they would load for minutes and then fail, or draw as if nothing else were meant.
 */
export const foreignTasks: ReadonlyMap<string, string> = new Map([
  ['FluxFillPipeline', 'filling in a part of a picture'],
  ['FluxInpaintPipeline', 'filling in a part of a picture'],
  ['FluxControlPipeline', 'drawing after a depth map or edges (FLUX.1 Depth, Canny)'],
  ['FluxControlImg2ImgPipeline', 'drawing after a depth map or edges (FLUX.1 Depth, Canny)'],
  ['FluxControlInpaintPipeline', 'drawing after a depth map or edges (FLUX.1 Depth, Canny)'],
  ['FluxControlNetPipeline', 'drawing after another picture (ControlNet)'],
  ['FluxControlNetImg2ImgPipeline', 'drawing after another picture (ControlNet)'],
  ['FluxControlNetInpaintPipeline', 'drawing after another picture (ControlNet)'],
  ['FluxKontextPipeline', 'editing a picture by words (FLUX.1 Kontext)'],
  ['FluxKontextInpaintPipeline', 'editing a picture by words (FLUX.1 Kontext)'],
  ['FluxPriorReduxPipeline', 'varying a picture (FLUX.1 Redux)'],
  ['ReduxImageEncoder', 'varying a picture (FLUX.1 Redux)'],
  ['ChromaInpaintPipeline', 'filling in a part of a picture'],
  ['WanImageToVideoPipeline', 'image to video'],
  ['WanVideoToVideoPipeline', 'video to video'],
  ['WanVACEPipeline', 'editing videos (VACE)'],
  ['WanAnimatePipeline', 'animating a picture after a video'],
  ['CogVideoXImageToVideoPipeline', 'image to video'],
  ['CogVideoXVideoToVideoPipeline', 'video to video'],
  ['CogVideoXFunControlPipeline', 'video after another video (Fun Control)'],
]);
