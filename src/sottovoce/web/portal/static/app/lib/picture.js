// Whether a recording has a picture to show.

const AUDIO = /\.(aac|ac3|aiff?|amr|flac|m4a|mp3|oga|ogg|opus|sph|wav|wma)$/i;
const PATIENCE_MS = 5000;

/** True if the media at *address* has a picture that this browser plays. A file with the *name* of audio is not looked at. */
export function hasPicture(address, name) {
  if (AUDIO.test(name)) return Promise.resolve(false);
  const video = document.createElement("video");
  return new Promise((resolve) => {
    const end = () => {
      resolve(video.videoWidth > 0);
      video.removeAttribute("src");  // stops the download
      video.load();
    };
    const timer = setTimeout(end, PATIENCE_MS);
    for (const event of ["loadedmetadata", "error"]) video.addEventListener(event, () => { clearTimeout(timer); end(); }, {once: true});
    video.preload = "metadata";
    video.src = address;
  });
}
